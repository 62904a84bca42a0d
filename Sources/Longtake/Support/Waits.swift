internal import Store

/// The waits for other processes: for their locks on indexes, on the cache and on the catalog.
public enum Waits {
    /// Ends those of this process within a second, for a process that is to end. May be called from a signal handler.
    public static func end() { Patience.giveUp() }

    /// To be called before a signal handler may call `end`.
    public static func prepare() { Patience.prepare() }
}
