import CSeccomp
import Glibc
import Media

/// Tries what hostile code in the decode worker would try: enters the same sandbox and then makes each system call.
///
/// `SandboxProbe VICTIM THREADS`: VICTIM is a process of the same user, THREADS the requested number of codec threads.
/// Each output line is a call, its result and its error number.
@main
enum SandboxProbe {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst().compactMap { Int32($0) }
        guard arguments.count == 2 else { exit(64) }
        if let missing = MediaLibraries.missing {
            say(missing, -1, 0)
            exit(1)
        }
        lt_forget_environment()
        let limits = Sandbox.Limits(memory: 4 << 30, cpuSeconds: 120, threads: Int(arguments[1]))
        let state = try Sandbox.enter(limits, parent: getppid())
        say("sandbox", state.isFiltered ? 1 : 0, Int32(state.landlock))
        Attack(victim: Int(arguments[0])).run()
        needs()
        // abort() sends SIGABRT to its own thread, which the filter must allow.
        abort()
    }

    /// The calls that decoding needs.
    private static func needs() {
        var thread = pthread_t()
        let failure = pthread_create(&thread, nil, { $0 }, nil)
        if failure == 0 { pthread_join(thread, nil) }
        say("pthread_create", Int(failure), failure)
        let memory = malloc(64 << 20)
        say("malloc", memory == nil ? -1 : 0, errno)
        free(memory)
        var byte: UInt8 = 0
        say("read", read(0, &byte, 1) < 0 ? -1 : 0, errno)
        say("write", write(1, &byte, 0), errno)
        say("fstat", lt_syscall(5, 1, Int(bitPattern: malloc(256)), 0, 0, 0, 0), errno)
        let own = Int(getpid())
        say("own-thread-signal", lt_syscall(234, own, own, 0, 0, 0, 0), errno)
    }

    static func say(_ name: String, _ result: Int, _ error: Int32) {
        let line = Array("\(name) \(result) \(error)\n".utf8)
        _ = line.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
    }
}

/// Every system call that grants more than a decoder needs.
struct Attack {
    let victim: Int

    private func call(
        _ name: String, _ number: Int, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0, _ e: Int = 0,
        _ f: Int = 0
    ) {
        errno = 0
        let result = lt_syscall(number, a, b, c, d, e, f)
        let error = result == -1 ? errno : 0
        // A forked copy would write the rest of the output a second time.
        if result == 0, name.hasPrefix("fork") || name.hasPrefix("vfork") || name.hasPrefix("clone-process") {
            _exit(0)
        }
        SandboxProbe.say(name, result, error)
    }

    func run() {
        // Memory for all pointer arguments: a path, followed by zeros.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 4096)
        memset(memory, 0, 1 << 16)
        let path = Int(bitPattern: memory)
        memcpy(memory, "/etc/passwd", 11)
        let target = path + 256
        memcpy(memory + 256, "/dev/shm/longtake-probe", 23)
        let empty = path + 512
        let zeros = path + 4096
        files(path, target, empty, zeros)
        processes(path, zeros)
        network(path, zeros)
        code(memory + 8192)
        kernel(path, zeros)
    }

    private func files(_ path: Int, _ target: Int, _ empty: Int, _ zeros: Int) {
        let here = Int(AT_FDCWD)
        call("open", 2, path)
        call("openat", 257, here, path)
        // struct open_how { flags, mode, resolve } is all zeros.
        call("openat2", 437, here, path, zeros, 24)
        call("creat", 85, target, 0o600)
        call("stat", 4, path, zeros)
        call("lstat", 6, path, zeros)
        call("newfstatat-path", 262, here, path, zeros)
        call("newfstatat-empty-path-flag", 262, here, path, zeros, 0x1000)
        call("newfstatat-descriptor", 262, 0, empty, zeros, 0x1000)
        call("statx", 332, here, path, 0, 0xFFF, zeros)
        call("access", 21, path)
        call("faccessat", 269, here, path)
        call("faccessat2", 439, here, path)
        call("readlink", 89, path, zeros, 256)
        call("readlinkat", 267, here, path, zeros, 256)
        call("getdents64", 217, 0, zeros, 256)
        call("chdir", 80, path)
        call("unlink", 87, target)
        call("rename", 82, path, target)
        call("mkdir", 83, target, 0o700)
        call("chmod", 90, target, 0o777)
        call("link", 86, path, target)
        call("symlink", 88, path, target)
        call("truncate", 76, target)
        call("statfs", 137, path, zeros)
        call("name_to_handle_at", 303, here, path, zeros, zeros)
        call("open_by_handle_at", 304, here, zeros)
        call("inotify_init1", 294)
        call("fanotify_init", 300)
        call("dup", 32, 1)
        call("fcntl", 72, 1, 0, 0)
        call("ioctl-TIOCSTI", 16, 0, 0x5412, zeros)
        call("sendfile", 40, 1, 0, 0, 1)
        call("memfd_create", 319, path)
        call("io_uring_setup", 425, 1, zeros)
    }

    private func processes(_ path: Int, _ zeros: Int) {
        call("kill", 62, victim, Int(SIGKILL))
        call("kill-group", 62, -1, 0)
        call("tkill", 200, victim, Int(SIGKILL))
        call("tgkill", 234, victim, victim, Int(SIGKILL))
        // The kernel uses 32 bits of a process number, the filter compares 64.
        call("tgkill-high-bits", 234, victim | 1 << 32, victim, Int(SIGKILL))
        call("rt_sigqueueinfo", 129, victim, Int(SIGKILL), zeros)
        call("rt_tgsigqueueinfo", 297, victim, victim, Int(SIGKILL), zeros)
        call("pidfd_open", 434, victim)
        call("pidfd_send_signal", 424, 0, Int(SIGKILL))
        call("ptrace", 101, 16 /* PTRACE_ATTACH */, victim)
        call("process_vm_readv", 310, victim, zeros, 1, zeros, 1)
        call("process_vm_writev", 311, victim, zeros, 1, zeros, 1)
        call("get_robust_list", 274, victim, zeros, zeros)
        call("sched_getaffinity", 204, victim, 128, zeros)
        call("sched_getscheduler", 145, victim)
        call("clock_gettime-victim", 228, ~victim << 3 | 2, zeros)
        call("getpgid", 121, victim)
        call("setpriority", 141, 0, victim, 19)
        call("prlimit64", 302, victim, 0, 0, zeros)
        call("prlimit64-own", 302, 0, Int(RLIMIT_NOFILE.rawValue), zeros)
        call("fork", 57)
        call("vfork", 58)
        call("clone-process", 56, Int(SIGCHLD))
        // CLONE_THREAD, CLONE_SIGHAND and CLONE_VM, with a new file system namespace.
        call("clone-namespace", 56, 0x10000 | 0x800 | 0x100 | 0x20000)
        call("clone3", 435, zeros, 88)
        call("execve", 59, path, zeros, zeros)
        call("execveat", 322, Int(AT_FDCWD), path, zeros, zeros)
        call("setuid", 105)
        call("setresuid", 117)
        call("capset", 126, zeros, zeros)
        call("prctl-dumpable", 157, 4, 1)
        call("personality", 135, 0x040_0000 /* READ_IMPLIES_EXEC */)
        call("unshare", 272, 0x1000_0000)
        call("setns", 308, 0)
        call("setsid", 112)
    }

    private func network(_ path: Int, _ zeros: Int) {
        for (name, family) in [("unix", AF_UNIX), ("inet", AF_INET), ("inet6", AF_INET6), ("netlink", 16)] {
            call("socket-\(name)", 41, Int(family), 1)
        }
        call("socketpair", 53, Int(AF_UNIX), 1, 0, zeros)
        call("connect", 42, 0, zeros, 16)
        call("bind", 49, 0, zeros, 16)
        call("sendto", 44, 1, zeros, 1)
        call("pipe2", 293, zeros)
    }

    private func code(_ page: UnsafeMutableRawPointer) {
        let page = Int(bitPattern: page)
        call("mmap-exec", 9, 0, 4096, 5, 0x22, -1)
        call("mmap-write-exec", 9, 0, 4096, 7, 0x22, -1)
        call("mprotect-exec", 10, page, 4096, 5)
        call("pkey_mprotect-exec", 329, page, 4096, 5, -1)
        call("shmget", 29, 0, 4096, 0o1600)
        call("shmat", 30, 0, 0, 0o100000)
        call("modify_ldt", 154, 0, page, 16)
    }

    private func kernel(_ path: Int, _ zeros: Int) {
        call("bpf", 321, 0, zeros, 48)
        call("userfaultfd", 323)
        call("perf_event_open", 298, zeros, 0, -1, -1)
        call("add_key", 248, path, path, zeros, 1, -1)
        call("keyctl", 250, 0, -1)
        call("mount", 165, path, path, path)
        call("umount2", 166, path)
        call("pivot_root", 155, path, path)
        call("chroot", 161, path)
        call("init_module", 175, zeros, 16, zeros)
        call("kexec_load", 246)
        call("reboot", 169, 0)
        call("sethostname", 170, path, 3)
        call("settimeofday", 164, zeros)
        call("clock_settime", 227, 0, zeros)
        call("adjtimex", 159, zeros)
        call("syslog", 103, 3, zeros, 64)
        call("acct", 163, path)
        call("swapon", 167, path)
        call("iopl", 172, 3)
        call("seccomp-again", 317, 1, 0, zeros)
        call("landlock_create_ruleset", 444, 0, 0, 1)
        call("move_pages", 279, victim, 0)
        call("kcmp", 312, victim, victim)
        call("uname", 63, zeros)
    }
}
