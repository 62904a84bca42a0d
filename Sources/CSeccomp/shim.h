// libseccomp, and the Linux calls for a worker process that Swift's Glibc module lacks.
#ifndef LT_CSECCOMP_SHIM_H
#define LT_CSECCOMP_SHIM_H

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Swift does not import prctl, because it is variadic.
static inline int lt_die_with_parent(void) { return prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0UL, 0UL, 0UL); }
static inline int lt_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL); }
static inline int lt_not_dumpable(void) { return prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL); }

// Swift does not import syscall, because it is variadic.
static inline long lt_syscall(long number, long a, long b, long c, long d, long e, long f) {
    return syscall(number, a, b, c, d, e, f);
}

// Drops every capability, for this process and for anything it executes; see capset(2). Written without libcap, since
// the call only passes zeros.
static inline int lt_drop_capabilities(void) {
    (void)prctl(PR_CAP_AMBIENT, (unsigned long)PR_CAP_AMBIENT_CLEAR_ALL, 0UL, 0UL, 0UL);
    // EINVAL marks the end of the known capabilities. EPERM: without the right to drop them there are none to drop.
    for (unsigned long capability = 0; capability < 64; capability++)
        if (prctl(PR_CAPBSET_DROP, capability, 0UL, 0UL, 0UL) != 0) break;
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522 /* _LINUX_CAPABILITY_VERSION_3 */, 0};
    uint32_t none[6] = {0, 0, 0, 0, 0, 0};
    return (int)syscall(SYS_capset, &header, none);
}

// Removes from this thread, and from those it starts, every right to files, TCP ports and other processes that the
// kernel's Landlock (Linux 5.13 and later) controls; open descriptors stay usable. Returns the Landlock version, or 0
// if there is none. The values are those of linux/landlock.h, which in Debian 12 covers only versions 1 and 2.
static inline int lt_landlock(void) {
    long version = syscall(444 /* landlock_create_ruleset */, (void *)0, 0UL, 1U /* LANDLOCK_CREATE_RULESET_VERSION */);
    if (version < 1) return 0;
    struct {
        uint64_t files, ports, scopes;
    } taken = {0x1FFF, 0, 0};
    if (version >= 2) taken.files |= 1 << 13;  // REFER
    if (version >= 3) taken.files |= 1 << 14;  // TRUNCATE
    if (version >= 4) taken.ports = 3;         // BIND_TCP, CONNECT_TCP
    if (version >= 5) taken.files |= 1 << 15;  // IOCTL_DEV
    if (version >= 6) taken.scopes = 3;        // ABSTRACT_UNIX_SOCKET, SIGNAL
    size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    int rules = (int)syscall(444, &taken, size, 0U);
    if (rules < 0) return 0;
    long failed = syscall(446 /* landlock_restrict_self */, rules, 0U);
    close(rules);
    return failed == 0 ? (int)version : 0;
}

// Overwrites the environment, which /proc shows, and empties it.
static inline void lt_forget_environment(void) {
    extern char **environ;
    for (char **entry = environ; entry != 0 && *entry != 0; entry++) memset(*entry, 0, strlen(*entry));
    if (environ != 0) *environ = 0;
}

// pipe2 and F_SETPIPE_SZ are GNU extensions, declared only with _GNU_SOURCE.
static inline int lt_pipe_cloexec(int ends[2]) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }
static inline int lt_set_pipe_size(int fd, int bytes) { return fcntl(fd, 1031 /* F_SETPIPE_SZ */, bytes); }

// glibc 2.34 and later; declared only with _GNU_SOURCE.
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
static inline int lt_spawn_closes_from(posix_spawn_file_actions_t *actions, int from) {
    return posix_spawn_file_actions_addclosefrom_np(actions, from);
}

// Starts a new session without the terminal; glibc 2.26 and later, defined only with _GNU_SOURCE.
static const short LT_SPAWN_SETSID = 0x80;

#endif
