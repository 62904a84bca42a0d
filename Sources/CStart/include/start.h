#pragma once

/// Blocks SIGUSR1 in this thread and those it starts: it never ends the process.
///
/// Also called before the initializers of any library: some take tens of milliseconds, and start threads.
void longtake_block_status_signal(void);
