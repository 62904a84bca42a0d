#pragma once

/// Blocks SIGUSR1 in this thread and in those it starts, so that the signal never ends the process.
///
/// Also runs before the initializers of all libraries: some of those take tens of milliseconds and start threads.
void longtake_block_status_signal(void);
