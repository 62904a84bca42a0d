internal import Store

/// Waits for other processes: for their locks on indexes, the cache and the catalog.
public enum Waits {
    /// Ends all waits of this process within a second, for exiting; may be called from a signal handler.
    public static func end() { Patience.giveUp() }

    /// Must be called before a signal handler may call `end`.
    public static func prepare() { Patience.prepare() }
}
