import CFFmpeg
import CSeccomp
import Foundation
import Glibc

/// The restrictions that the decode worker applies to itself before it reads the first byte of a recording.
///
/// Limits on memory, CPU, files and processes; no new privileges; no capabilities; it dies with its parent; Landlock if
/// the kernel has it; and a system call filter that permits reading and writing open descriptors, memory, clocks and
/// threads. Any other call fails with EPERM, so that libraries that query a CPU count or a locale continue without it.
package enum Sandbox {
    /// The limits, which depend on the request.
    package struct Limits: Sendable {
        /// Bytes of address space; 0 for no limit.
        package var memory: Int
        /// CPU seconds, summed over all threads.
        package var cpuSeconds: Int
        /// Codec threads.
        package var threads: Int
        /// Bytes of the file it may write; 0 for none.
        package var fileBytes = 0

        /// Creates limits.
        package init(memory: Int, cpuSeconds: Int, threads: Int) {
            self.memory = memory
            self.cpuSeconds = cpuSeconds
            self.threads = threads
        }
    }

    /// The restrictions this kernel let the process apply.
    package struct State: Sendable, Codable, Equatable {
        /// True if the system call filter is installed.
        package let isFiltered: Bool
        /// The Landlock version; 0 if the kernel has none.
        package let landlock: Int
    }

    /// Applies all restrictions to all threads, permanently.
    ///
    /// - Throws: `worker` if the parent is gone.
    package static func enter(_ limits: Limits, parent: Int32) throws -> State {
        _ = lt_die_with_parent()
        // The parent may have exited before the call.
        guard getppid() == parent else { throw MediaError.worker("its parent has exited") }
        // Swift's runtime would handle these signals by starting its backtracer, which is another program.
        for crash in [SIGQUIT, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP] { signal(crash, SIG_DFL) }
        _ = lt_no_new_privileges()
        _ = lt_not_dumpable()
        _ = lt_drop_capabilities()
        limit(RLIMIT_CORE, 0)
        // Writing beyond the limit then fails with EFBIG instead of ending the process.
        if limits.fileBytes > 0 { signal(SIGXFSZ, SIG_IGN) }
        limit(RLIMIT_FSIZE, limits.fileBytes)
        limit(RLIMIT_NOFILE, 16)
        limit(__RLIMIT_NPROC, processes(for: limits.threads))
        limit(RLIMIT_CPU, limits.cpuSeconds)
        if limits.memory > 0 { limit(RLIMIT_AS, limits.memory) }
        av_max_alloc(1 << 30)
        let landlock = lt_landlock()
        return State(isFiltered: filter(), landlock: Int(landlock))
    }

    /// Lowers a limit permanently; keeps one that is already lower.
    private static func limit(_ resource: __rlimit_resource, _ value: Int) {
        let resource = __rlimit_resource_t(resource.rawValue)
        var limits = rlimit()
        guard getrlimit(resource, &limits) == 0 else { return }
        let value = min(UInt(clamping: value), limits.rlim_max)
        limits = rlimit(rlim_cur: value, rlim_max: value)
        setrlimit(resource, &limits)
    }

    /// Process limit: 0 if one thread decodes.
    ///
    /// The limit counts all processes and threads of the user, so with codec threads it is set somewhat above the
    /// number that the whole machine runs now.
    private static func processes(for threads: Int) -> Int {
        guard threads > 1 else { return 0 }
        // "0.20 0.18 0.12 1/80 11206" means 80 threads; see proc(5).
        let load = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8)) ?? ""
        let running = load.split(separator: "/").last?.split(separator: " ").first.flatMap { Int($0) }
        return (running ?? 100_000) + threads + 1000
    }

    // `newfstatat` and `statx` are excluded because they take paths. glibc 2.33 to 2.38 implements fstat() with the
    // former, so nothing may call fstat() from here on. `sched_getparam` and similar calls are excluded because they
    // reveal other processes.
    private static let allowed = [
        "read", "pread64", "readv", "lseek", "write", "writev", "close", "fstat", "munmap", "mremap", "madvise", "brk",
        "futex",
        "nanosleep", "gettimeofday", "time", "sched_yield", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
        "sigaltstack",
        "exit", "exit_group", "getrandom", "set_robust_list", "rseq", "set_tid_address", "gettid", "getpid", "getppid",
        "restart_syscall", "poll", "ppoll", "getrusage", "sysinfo", "membarrier", "getcpu",
    ]

    private static func filter() -> Bool {
        // EPERM instead of killing the process: see above. 0x00050000 is SCMP_ACT_ERRNO, a macro with an argument.
        guard let context = seccomp_init(0x0005_0000 | UInt32(EPERM)) else { return false }
        defer { seccomp_release(context) }
        // Calls by the numbers of another architecture (32 bits, x32) kill the process, not just the thread.
        _ = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, 0x8000_0000)
        // Apply the filter to threads that a library may have started already.
        _ = seccomp_attr_set(context, SCMP_FLTATR_CTL_TSYNC, 1)
        func allow(_ name: String, _ conditions: scmp_arg_cmp...) -> Bool {
            let number = seccomp_syscall_resolve_name(name)
            // Unknown to this library or architecture: the call stays forbidden.
            guard number >= 0 else { return true }
            return seccomp_rule_add_array(context, SCMP_ACT_ALLOW_VALUE, number, UInt32(conditions.count), conditions)
                == 0
        }
        func bits(_ argument: UInt32, _ mask: UInt64, _ value: UInt64) -> scmp_arg_cmp {
            scmp_arg_cmp(arg: argument, op: SCMP_CMP_MASKED_EQ, datum_a: mask, datum_b: value)
        }
        func equal(_ argument: UInt32, _ value: UInt64) -> scmp_arg_cmp {
            scmp_arg_cmp(arg: argument, op: SCMP_CMP_EQ, datum_a: value, datum_b: 0)
        }
        for name in allowed where !allow(name) { return false }
        // abort() and raise() use tgkill; allow it only for this process.
        guard allow("tgkill", equal(0, UInt64(getpid()))), allow("sched_getaffinity", equal(0, 0)) else { return false }
        // Allow the clocks of the machine and of this process; negative IDs are the clocks of other processes.
        for name in ["clock_gettime", "clock_getres", "clock_nanosleep"] {
            let own = scmp_arg_cmp(arg: 0, op: SCMP_CMP_LT, datum_a: 16, datum_b: 0)
            guard allow(name, own) else { return false }
        }
        // Memory may be allocated and reprotected, but never become executable.
        for name in ["mmap", "mprotect"] {
            guard allow(name, bits(2, UInt64(PROT_EXEC), 0)) else { return false }
        }
        // Allow threads, not processes or namespaces. clone3 passes its flags through a pointer; glibc falls back to
        // clone.
        guard allow("clone", bits(0, Self.thread | Self.notThread, Self.thread)) else { return false }
        let clone3 = seccomp_syscall_resolve_name("clone3")
        if clone3 >= 0 {
            guard seccomp_rule_add_array(context, 0x0005_0000 | UInt32(ENOSYS), clone3, 0, nil) == 0 else {
                return false
            }
        }
        return seccomp_load(context) == 0
    }

    private static let SCMP_ACT_ALLOW_VALUE: UInt32 = 0x7FFF_0000
    /// CLONE_THREAD.
    private static let thread: UInt64 = 0x10000
    /// CLONE_NEWTIME, CLONE_PTRACE, CLONE_VFORK, CLONE_NEWNS, CLONE_NEWCGROUP to CLONE_NEWNET, CLONE_IO.
    private static let notThread: UInt64 = 0x80 | 0x2000 | 0x4000 | 0x20000 | 0xFE00_0000
}
