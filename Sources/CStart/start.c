#include "start.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

void longtake_block_status_signal(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

// The dynamic linker runs a program's .preinit_array before the initializers of its libraries.
__attribute__((section(".preinit_array"), used)) static void (*const at_start)(void) = longtake_block_status_signal;

#ifndef LONGTAKE_COMMIT
#define LONGTAKE_COMMIT ""
#endif

const char *longtake_commit(void) { return LONGTAKE_COMMIT; }
