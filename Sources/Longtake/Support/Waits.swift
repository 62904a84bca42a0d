internal import Store

/// The waits for locks of other processes: on indexes, the cache and the catalog.
package enum Waits {
    /// Ends all waits of this process within a second, for exiting; may be called from a signal handler.
    package static func end() { LockWaits.end() }

    /// Must be called before a signal handler may call `end`.
    package static func prepare() { LockWaits.prepare() }
}
