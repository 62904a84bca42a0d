import ArgumentParser
import Longtake

/// Options for the duration of a run.
struct RuntimeOptions: ParsableArguments {
    @Option(
        help: """
            Stop after this time, when the open segment of 600 frames is sealed: exit status 3, the next run goes on from there. \
            90, 10m, 5h; no end by default. (env: LONGTAKE_MAX_RUNTIME)
            """)
    var maxRuntime: TimeArgument?

    /// The deadline counted from now; nil if there is no limit.
    func deadline() throws -> ContinuousClock.Instant? {
        let seconds = try maxRuntime?.seconds ?? Environment.time("MAX_RUNTIME")
        guard let seconds else { return nil }
        // The clock's Int64 attoseconds limit its range; 1e9 s (about thirty years) is still safe and ends no run
        // early.
        guard seconds > 0, seconds <= 1e9 else {
            throw UsageError("--max-runtime must be above 0 and at most 1e9 s, not \(seconds)")
        }
        return ContinuousClock.now + .seconds(seconds)
    }
}
