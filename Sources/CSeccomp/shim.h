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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

// Swift does not import fork. Only for a process of one thread.
static inline pid_t lt_fork(void) { return fork(); }

// pidfd_open and pidfd_send_signal have no wrappers before glibc 2.36.
static inline int lt_pidfd_open(pid_t pid) { return (int)syscall(434, pid, 0U); }
static inline int lt_pidfd_signal(int pidfd, int signal) { return (int)syscall(424, pidfd, signal, (void *)0, 0U); }

// Closes all descriptors from a number on; returns 0, or -1 where Linux is older than 5.9.
static inline int lt_close_from(int first) { return (int)syscall(436, (unsigned)first, ~0U, 0U); }

enum { LT_MOST_DESCRIPTORS = 4 };

// Swift does not import the macros for descriptors in messages; see cmsg(3).
typedef union {
    char bytes[CMSG_SPACE(sizeof(int) * LT_MOST_DESCRIPTORS)];
    struct cmsghdr header;
} lt_control;

// Sends a message with up to LT_MOST_DESCRIPTORS descriptors; returns 0 or an error number.
static inline int lt_send_descriptors(int socket, const void *bytes, size_t count, const int *descriptors, int number) {
    if (number < 0 || number > LT_MOST_DESCRIPTORS) return EINVAL;
    struct iovec part = {(void *)bytes, count};
    lt_control control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {0};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (number > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)number);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)number);
        memcpy(CMSG_DATA(header), descriptors, sizeof(int) * (size_t)number);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? errno : (size_t)sent == count ? 0 : EMSGSIZE;
}

// Receives a message; returns its length, 0 at the end, or -1. Descriptors that do not fit are closed by the kernel.
static inline ssize_t lt_receive_descriptors(int socket, void *bytes, size_t count, int *descriptors, int *number) {
    struct iovec part = {bytes, count};
    lt_control control;
    struct msghdr message = {0};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    *number = 0;
    ssize_t got;
    do got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) return got;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != 0; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t size = header->cmsg_len - CMSG_LEN(0);
        *number = (int)(size / sizeof(int));
        if (*number > LT_MOST_DESCRIPTORS) *number = LT_MOST_DESCRIPTORS;
        memcpy(descriptors, CMSG_DATA(header), sizeof(int) * (size_t)*number);
    }
    return got;
}

#endif
