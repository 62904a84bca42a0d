import Foundation

/// Measures how long a process's threads were ready to run but had no CPU, which a busy machine causes.
///
/// Source: the second value in /proc/PID/task/TID/schedstat, in nanoseconds (proc(5),
/// Documentation/scheduler/sched-stats).
struct RunQueueWait {
    private let tasks: String
    private var last: [String: UInt64] = [:]

    init(pid: pid_t) {
        tasks = "/proc/\(pid)/task"
        _ = advance(atMost: 0)
    }

    /// Seconds waited since the last call, summed over all threads and capped at `limit`; 0 if the kernel does not
    /// count them.
    mutating func advance(atMost limit: Double) -> Double {
        var now: [String: UInt64] = [:]
        for task in (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? [] {
            guard let text = try? String(contentsOfFile: "\(tasks)/\(task)/schedstat", encoding: .utf8) else {
                continue
            }
            let fields = text.split(separator: " ")
            if fields.count > 1, let waited = UInt64(fields[1]) { now[task] = waited }
        }
        let added = now.reduce(0.0) { sum, task in
            let before = last[task.key] ?? 0
            return sum + (task.value > before ? Double(task.value - before) : 0)
        }
        last = now
        return min(added / 1e9, limit)
    }
}
