#pragma once

/// Blocks SIGUSR1 in this thread and in those it starts, so that the signal never ends the process.
///
/// Also runs before the initializers of all libraries: some of those take tens of milliseconds and start threads.
void longtake_block_status_signal(void);

/// The commit that the program was built from, e.g. "03f8036a1b2c", with a "+" where files had changed since; "" if unknown.
const char *longtake_commit(void);
