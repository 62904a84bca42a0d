import CFFmpeg
import CSeccomp
import Glibc

/// What the decode worker takes from itself before it looks at the first byte of a recording.
///
/// Memory and file limits, no new privileges, death with its parent, and a system call filter that leaves reading, writing to
/// what is open, memory and threads. Whatever else is called answers EPERM: libraries that look for a CPU count or a locale
/// go on without.
enum Sandbox {
    /// True when the filter is in place; limits alone otherwise.
    static func enter(memoryLimit: Int, parent: Int32) throws -> Bool {
        _ = lt_die_with_parent()
        // The parent may have died before that.
        guard getppid() == parent else { throw MediaError.worker("its parent is gone") }
        _ = lt_no_new_privileges()
        _ = lt_not_dumpable()
        limit(__rlimit_resource_t(RLIMIT_CORE.rawValue), 0)
        limit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), 0)
        limit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), 16)
        if memoryLimit > 0 { limit(__rlimit_resource_t(RLIMIT_AS.rawValue), UInt(memoryLimit)) }
        av_max_alloc(1 << 30)
        return filter()
    }

    private static func limit(_ resource: __rlimit_resource_t, _ value: UInt) {
        var limits = rlimit(rlim_cur: value, rlim_max: value)
        setrlimit(resource, &limits)
    }

    private static let allowed = [
        "read", "pread64", "readv", "lseek", "write", "writev", "close", "fstat", "newfstatat", "munmap", "mremap",
        "madvise", "brk", "futex", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday",
        "time",
        "sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "rt_sigaction", "rt_sigprocmask",
        "rt_sigreturn", "sigaltstack", "exit", "exit_group", "getrandom", "set_robust_list", "get_robust_list", "rseq",
        "set_tid_address", "gettid", "getpid", "getppid", "tgkill", "restart_syscall", "poll", "ppoll", "getrusage",
        "sysinfo",
        "membarrier", "uname", "getcpu",
    ]

    private static func filter() -> Bool {
        // EPERM, not death: see above. 0x00050000 is SCMP_ACT_ERRNO, a macro with an argument.
        guard let context = seccomp_init(0x0005_0000 | UInt32(EPERM)) else { return false }
        defer { seccomp_release(context) }
        for name in allowed {
            let number = seccomp_syscall_resolve_name(name)
            guard number >= 0 else { continue }
            if seccomp_rule_add_array(context, SCMP_ACT_ALLOW_VALUE, number, 0, nil) != 0 { return false }
        }
        // Memory may be had and change its protection, but never become code.
        for name in ["mmap", "mprotect"] {
            let number = seccomp_syscall_resolve_name(name)
            var notCode = scmp_arg_cmp(
                arg: 2, op: SCMP_CMP_MASKED_EQ, datum_a: scmp_datum_t(PROT_EXEC), datum_b: 0)
            guard seccomp_rule_add_array(context, SCMP_ACT_ALLOW_VALUE, number, 1, &notCode) == 0 else { return false }
        }
        // Threads yes, processes no: CLONE_THREAD must be set. clone3 hides its flags behind a pointer; glibc falls back.
        let clone = seccomp_syscall_resolve_name("clone")
        var thread = scmp_arg_cmp(
            arg: 0, op: SCMP_CMP_MASKED_EQ, datum_a: scmp_datum_t(0x10000), datum_b: scmp_datum_t(0x10000))
        guard seccomp_rule_add_array(context, SCMP_ACT_ALLOW_VALUE, clone, 1, &thread) == 0 else { return false }
        let clone3 = seccomp_syscall_resolve_name("clone3")
        if clone3 >= 0 {
            guard seccomp_rule_add_array(context, 0x0005_0000 | UInt32(ENOSYS), clone3, 0, nil) == 0 else {
                return false
            }
        }
        return seccomp_load(context) == 0
    }

    private static let SCMP_ACT_ALLOW_VALUE: UInt32 = 0x7FFF_0000
}
