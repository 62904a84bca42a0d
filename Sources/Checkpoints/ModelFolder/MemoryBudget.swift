import Glibc
import Tensors

/// The memory this process may still use: limited by the machine, its control groups and its address space.
public struct MemoryBudget: Sendable, Equatable, Codable {
    /// MemAvailable of /proc/meminfo, in bytes.
    public let machine: Int64
    /// Bytes left in the tightest control group around this process; nil without a limit.
    public let group: Int64?
    /// Bytes left of this process's address space limit (RLIMIT_AS); nil without a limit.
    public let process: Int64?

    /// A budget of known limits, in bytes.
    public init(machine: Int64, group: Int64? = nil, process: Int64? = nil) {
        self.machine = machine
        self.group = group
        self.process = process
    }

    /// The smallest of the three, in bytes.
    public var usable: Int64 { min(machine, group ?? .max, process ?? .max) }

    /// Reads the budget from files below `root` ("/"); nil if /proc/meminfo has no MemAvailable.
    public static func read(root: String = "/") -> MemoryBudget? {
        let lines = text("proc/meminfo", root: root)?.split(separator: "\n") ?? []
        guard let line = lines.first(where: { $0.hasPrefix("MemAvailable:") }),
            let kibibytes = line.split(separator: " ").dropFirst().first.flatMap({ Int64($0) }),
            kibibytes >= 0, kibibytes < Int64.max >> 10
        else { return nil }
        return MemoryBudget(
            machine: kibibytes << 10, group: group(root: root), process: root == "/" ? addressSpace() : nil)
    }

    /// Throws `not_enough_memory`, with both sizes, if `needed` bytes exceed `usable`.
    public func check(_ what: String, needed: Int64) throws {
        guard needed > usable else { return }
        let limit =
            switch usable {
            case process: "the limit of this process's address space, ulimit -v"
            case group: "the limit of the control group, cgroup memory.max"
            default: "MemAvailable of the machine"
            }
        throw CheckpointError.notEnoughMemory(what, needed: needed, available: usable, limit: limit)
    }

    private static func addressSpace() -> Int64? {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limits) == 0, limits.rlim_cur != rlim_t.max,
            let pages = text("proc/self/statm", root: "/")?.split(separator: " ").first.flatMap({ Int64($0) })
        else { return nil }
        let (used, overflow) = pages.multipliedReportingOverflow(by: Int64(getpagesize()))
        return overflow ? 0 : max(0, Int64(clamping: limits.rlim_cur) - max(0, used))
    }

    /// The tightest limit of all memory control groups (version 1 and 2), in bytes left.
    private static func group(root: String) -> Int64? {
        var tightest: Int64?
        for line in text("proc/self/cgroup", root: root)?.split(separator: "\n") ?? [] {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let isVersion2 = fields[0] == "0" && fields[1].isEmpty
            guard isVersion2 || fields[1].split(separator: ",").contains("memory") else { continue }
            let base = isVersion2 ? "sys/fs/cgroup" : "sys/fs/cgroup/memory"
            var path = fields[2].split(separator: "/").filter { $0 != ".." }
            // A limit on any parent group applies as well.
            while true {
                let folder = ([base] + path.map(String.init)).joined(separator: "/")
                if let bytes = isVersion2
                    ? remaining(version2: folder, root: root) : remaining(version1: folder, root: root)
                {
                    tightest = min(tightest ?? .max, bytes)
                }
                if path.popLast() == nil { break }
            }
        }
        return tightest
    }

    private static func remaining(version2 folder: String, root: String) -> Int64? {
        guard let limit = number("\(folder)/memory.max", root: root) else { return nil }
        let used = number("\(folder)/memory.current", root: root) ?? 0
        return remaining(limit: limit, used: used, cache: statistic("inactive_file", of: folder, root: root))
    }

    private static func remaining(version1 folder: String, root: String) -> Int64? {
        // Version 1 reports "no limit" as the largest page-aligned value.
        guard let limit = number("\(folder)/memory.limit_in_bytes", root: root), limit < 1 << 60 else { return nil }
        let used = number("\(folder)/memory.usage_in_bytes", root: root) ?? 0
        return remaining(limit: limit, used: used, cache: statistic("total_inactive_file", of: folder, root: root))
    }

    /// Cached file pages count as used, but the kernel reclaims them on demand.
    private static func remaining(limit: Int64, used: Int64, cache: Int64) -> Int64 {
        max(0, limit - max(0, used - min(used, cache)))
    }

    private static func statistic(_ key: String, of folder: String, root: String) -> Int64 {
        for line in text("\(folder)/memory.stat", root: root)?.split(separator: "\n") ?? [] {
            let fields = line.split(separator: " ")
            if fields.count == 2, fields[0] == key { return max(0, Int64(fields[1]) ?? 0) }
        }
        return 0
    }

    private static func number(_ name: String, root: String) -> Int64? {
        guard let value = text(name, root: root)?.split(whereSeparator: \.isWhitespace).first.flatMap({ Int64($0) }),
            value >= 0
        else { return nil }
        return value
    }

    private static func text(_ name: String, root: String) -> String? {
        // Files in /proc and /sys report a size of zero or one page regardless of their contents.
        guard let bytes = try? FolderPath.read(name, in: root, limit: 1 << 20) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
