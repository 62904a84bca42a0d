internal import Foundation
internal import Glibc
internal import Media
internal import Tensors

/// Limits of the process that are too low to compute under, found before a library meets them: oneDNN, OpenBLAS and GNU's OpenMP
/// end the process, or crash it, where they get no memory or no thread.
public enum StartingLimits {
    /// Bytes of address space (`ulimit -v`) and of data (`ulimit -d`) beside what the loaded program has, and per thread.
    static let memory = 768 << 20
    static let memoryPerThread = 32 << 20
    /// Bytes of a thread's stack: code that oneDNN generates takes most of it.
    static let stack = 1 << 20
    /// Bytes of the stack of commands that neither compute nor decode.
    static let lightStack = 128 << 10
    /// Files that can be opened beside those that are open.
    static let files = 16

    /// - Parameter threads: that compute; there are some more, which wait, read and decode.
    /// - Throws: `Failure` with exit status 13 that says what is missing and what raises it.
    public static func check(threads: Int) throws {
        let all = all(threads)
        try checkMemory(threads: all)
        if ResourceLimits.lacksDescriptors(files) {
            throw failure(
                "process_limit",
                "too few open files: \(String(cString: strerror(EMFILE))); this process may have \(soft(RLIMIT_NOFILE)) open and "
                    + "needs \(files) more than it has; raise the limit (ulimit -n 256, LimitNOFILE= of a systemd unit)"
            )
        }
        try checkThreads(all)
    }

    /// What is left for computing once a model's files are mapped, and `bytes` more are taken.
    ///
    /// - Throws: `Failure` with exit status 13.
    static func checkMemory(threads: Int, beside bytes: Int64) throws {
        try checkMemory(threads: all(threads), more: Int(clamping: bytes))
    }

    /// OpenMP's threads beside the first, those of OpenMPThreads, the reader's, the tokenizer's, the checksum's and the worker.
    private static func all(_ threads: Int) -> Int {
        min(max(threads, 1), 4096) - 1 + max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) + 1 + 4
    }

    /// A stack that is too small, which only a check at the very start survives.
    public static func checkStack(light: Bool) throws {
        let (limit, stack) = (soft(RLIMIT_STACK), light ? lightStack : stack)
        guard limit < stack else { return }
        throw failure(
            "process_limit",
            "too small a stack: \(limit >> 10) KiB, and \(stack >> 10) KiB are needed; raise the limit (ulimit -s 8192, "
                + "LimitSTACK= of a systemd unit)")
    }

    private static func checkMemory(threads: Int, more: Int = 0) throws {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").map { Int($0.filter(\.isNumber)) ?? 0 }
        guard pages.count >= 6 else { return }
        let page = Int(getpagesize())
        // A stack without a limit is 2 MiB for each thread.
        let stack = soft(RLIMIT_STACK) == Int.max ? 2 << 20 : soft(RLIMIT_STACK)
        let (each, overflow) = threads.multipliedReportingOverflow(by: stack + memoryPerThread)
        let own = overflow ? Int.max >> 2 : memory + each
        let more = own + min(max(more, 0), Int.max >> 2)
        for (resource, used, name, option, unit) in [
            (RLIMIT_AS, pages[0] * page, "address space", "-v", "LimitAS="),
            (RLIMIT_DATA, pages[5] * page, "data", "-d", "LimitDATA="),
        ] {
            let limit = soft(resource)
            guard limit < Int.max, limit < used + more else { continue }
            throw failure(
                "not_enough_memory",
                "too little memory: this process may have \(limit) bytes of \(name) and needs at least \(used + more) with "
                    + "\(counted(threads, "thread")); raise the limit (ulimit \(option) unlimited, \(unit) of a systemd unit), or give --threads 1"
            )
        }
    }

    /// Starts as many threads as there will be, and ends them again.
    private static func checkThreads(_ count: Int) throws {
        let gate = DispatchSemaphore(value: 0)
        var started: [BackgroundThread] = []
        for _ in 0..<count {
            guard let thread = BackgroundThread({ gate.wait() }) else { break }
            started.append(thread)
        }
        for _ in started { gate.signal() }
        for thread in started { thread.join() }
        guard started.count < count else { return }
        throw failure(
            "process_limit",
            "too few threads: \(counted(count, "is", "are")) needed, \(started.count) can be had: \(String(cString: strerror(EAGAIN))); "
                + "this user may have \(text(soft(__RLIMIT_NPROC))) processes and threads (ulimit -u; TasksMax= of a systemd unit), "
                + "each with a stack of \(text(soft(RLIMIT_STACK))) bytes (ulimit -s); raise the limits, or give --threads 1"
        )
    }

    private static func soft(_ resource: __rlimit_resource) -> Int {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(resource.rawValue), &limits) == 0 else { return .max }
        return Int(clamping: limits.rlim_cur)
    }

    private static func text(_ limit: Int) -> String { limit == .max ? "any number of" : "\(limit)" }

    private static func failure(_ code: String, _ message: String) -> Failure {
        Failure(code: code, message: message, exitCode: Exit.space)
    }
}
