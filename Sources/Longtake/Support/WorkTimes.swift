/// Seconds that work took by kind, added up as it is done; belongs to the thread that computes.
package final class WorkTimes {
    /// Seconds of encoding frames, answering and searching.
    package private(set) var compute = 0.0
    /// Seconds in which nothing was computed because frames were not there yet: opening, hashing, probing, decoding.
    package private(set) var waiting = 0.0

    /// Times of nothing.
    package init() {}

    /// Adds the time of `body` to that of computing.
    func computing<Value>(_ body: () throws -> Value) rethrows -> Value {
        let start = ContinuousClock.now
        defer { compute += (ContinuousClock.now - start).seconds }
        return try body()
    }

    /// Adds the time of `body` to that of waiting.
    func waiting<Value>(_ body: () throws -> Value) rethrows -> Value {
        let start = ContinuousClock.now
        defer { waiting += (ContinuousClock.now - start).seconds }
        return try body()
    }
}
