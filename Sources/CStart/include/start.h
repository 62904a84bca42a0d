#pragma once

/// Blocks SIGUSR1 in this thread and those it starts: it never ends the process.
///
/// Also called before the initializers of any library: some take tens of milliseconds, and start threads.
void longtake_block_status_signal(void);

/// The commit that the program was built from, e.g. "03f8036a1b2c", with a "+" where files had changed since; "" if unknown.
const char *longtake_commit(void);
