import Glibc

/// Retries when descriptors, processes or threads run out, since other processes may release them soon.
package enum ResourceLimits {
    private static let tries = 10
    private static let pause: UInt32 = 50_000

    /// True if `number` is an errno that waiting may resolve.
    package static func isMeant(_ number: Int32) -> Bool { [EAGAIN, EMFILE, ENFILE, ENOMEM].contains(number) }

    /// Calls `attempt` until it returns 0 or an errno that waiting does not resolve, for half a second at most.
    ///
    /// - Returns: the last errno, or 0.
    package static func retry(_ attempt: () -> Int32) -> Int32 {
        for _ in 1..<tries {
            let failure = attempt()
            guard isMeant(failure) else { return failure }
            usleep(pause)
        }
        return attempt()
    }

    /// True if `count` more files cannot be opened.
    package static func lacksDescriptors(_ count: Int) -> Bool {
        let opened = (0..<count).map { _ in open("/dev/null", O_RDONLY | O_CLOEXEC) }
        let isShort = opened.last == -1 && (errno == EMFILE || errno == ENFILE)
        for descriptor in opened where descriptor >= 0 { close(descriptor) }
        return isShort
    }

    /// A description of the limit that caused an errno and how to raise it; nil if no limit did.
    static func limit(_ number: Int32) -> String? {
        switch number {
        case EMFILE:
            return "this process may have \(soft(RLIMIT_NOFILE)) files open (ulimit -n, LimitNOFILE= of a systemd unit)"
        case ENFILE: return "the machine has too many files open (sysctl fs.file-max)"
        case EAGAIN:
            return
                "this user may have \(soft(__RLIMIT_NPROC)) processes and threads (ulimit -u, TasksMax= of a systemd "
                + "unit)"
        case ENOMEM: return "the machine or the service (MemoryMax= of a systemd unit) has no memory left"
        default: return nil
        }
    }

    private static func soft(_ resource: __rlimit_resource) -> String {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(resource.rawValue), &limits) == 0 else { return "a limited number of" }
        return limits.rlim_cur == UInt.max ? "any number of" : "\(limits.rlim_cur)"
    }
}
