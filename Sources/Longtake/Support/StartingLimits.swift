internal import Foundation
internal import Glibc
internal import Media
internal import SystemCalls

/// Checks process limits before a library runs into them.
///
/// oneDNN, OpenBLAS and GNU OpenMP end or crash the process if they get no memory or no thread.
package enum StartingLimits {
    /// Bytes of address space (`ulimit -v`) and of data (`ulimit -d`) needed on top of the loaded program.
    static let memory = 768 << 20
    /// The same for each thread, without its stack.
    static let memoryPerThread = 32 << 20
    /// Minimum stack size in bytes: most of it is for code that oneDNN generates.
    static let stack = 1 << 20
    /// Minimum stack size in bytes of commands that neither compute nor decode.
    static let lightStack = 128 << 10
    /// Number of files that must still be possible to open.
    static let files = 16

    /// Checks memory, open files and threads.
    ///
    /// - Parameter threads: number of compute threads; some more wait, read and decode.
    /// - Throws: `Failure` with exit status 13 that names the limit and how to raise it.
    package static func check(threads: Int) throws {
        let all = all(threads)
        try checkMemory(threads: all)
        if ResourceLimits.lacksDescriptors(files) {
            throw failure(
                "process_limit",
                "the limit of open files is too low: \(SystemError(EMFILE)); this process may open \(soft(RLIMIT_NOFILE)) and "
                    + "needs \(files) more than are open; raise the limit (ulimit -n 256, LimitNOFILE= of a systemd unit)"
            )
        }
        // The process that decode workers are forked from, and the thread that listens to it.
        try checkThreads(all + 2)
    }

    /// Checks that enough memory is left for computing after a model's files were mapped and `bytes` more are used.
    ///
    /// - Throws: `Failure` with exit status 13.
    static func checkMemory(threads: Int, plus bytes: Int64) throws {
        try checkMemory(threads: all(threads), more: Int(clamping: bytes))
    }

    /// All threads: OpenMP's beyond the first, `OpenMPThreads`', the reader, tokenizer, checksum and worker threads.
    private static func all(_ threads: Int) -> Int {
        min(max(threads, 1), 4096) - 1 + max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) + 1 + 4
    }

    /// Checks the stack size; must run at the very start, since a small stack fails soon after.
    package static func checkStack(light: Bool) throws {
        let (limit, stack) = (soft(RLIMIT_STACK), light ? lightStack : stack)
        guard limit < stack else { return }
        throw failure(
            "process_limit",
            "the stack limit is too low: it is \(limit >> 10) KiB, and \(stack >> 10) KiB are needed; raise the limit (ulimit -s 8192, "
                + "LimitSTACK= of a systemd unit)")
    }

    private static func checkMemory(threads: Int, more: Int = 0) throws {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").map { Int($0.filter(\.isNumber)) ?? 0 }
        guard pages.count >= 6 else { return }
        let page = Int(getpagesize())
        // With an unlimited stack, each thread gets 2 MiB.
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
                    + "\(counted(threads, "thread")); raise the limit (ulimit \(option) unlimited, \(unit) of a systemd "
                    + "unit), or use fewer threads", .threads)
        }
    }

    /// Starts as many threads as will be needed, then ends them.
    private static func checkThreads(_ count: Int) throws {
        let gate = DispatchSemaphore(value: 0)
        var started: [BackgroundThread] = []
        for _ in 0..<count {
            guard let thread = try? BackgroundThread({ gate.wait() }) else { break }
            started.append(thread)
        }
        for _ in started { gate.signal() }
        for thread in started { thread.join() }
        guard started.count < count else { return }
        throw failure(
            "process_limit",
            "cannot start enough threads: \(counted(count, "is", "are")) needed, \(started.count) could be started: \(SystemError(EAGAIN)); "
                + "this user may have \(text(soft(__RLIMIT_NPROC))) processes and threads (ulimit -u; TasksMax= of a systemd unit), "
                + "each with a stack of \(text(soft(RLIMIT_STACK))) bytes (ulimit -s); raise the limits, or use fewer threads",
            .threads)
    }

    private static func soft(_ resource: __rlimit_resource) -> Int {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(resource.rawValue), &limits) == 0 else { return .max }
        return Int(clamping: limits.rlim_cur)
    }

    private static func text(_ limit: Int) -> String { limit == .max ? "any number of" : "\(limit)" }

    private static func failure(_ code: String, _ message: String, _ remedy: Remedy? = nil) -> Failure {
        Failure(code: code, message: message, exitCode: Exit.space, remedy: remedy)
    }
}
