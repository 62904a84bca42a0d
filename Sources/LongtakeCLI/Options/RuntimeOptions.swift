import ArgumentParser
import Longtake

/// How long a run may take.
struct RuntimeOptions: ParsableArguments {
    @Option(
        help: """
            Stop after this time, when the open segment of 600 frames is sealed: exit status 3, the next run goes on from there. \
            90, 10m, 5h; no end by default. (env: LONGTAKE_MAX_RUNTIME)
            """)
    var maxRuntime: TimeArgument?

    /// Counted from now; nil where nothing ends the run.
    func deadline() throws -> ContinuousClock.Instant? {
        let seconds = try maxRuntime?.seconds ?? Environment.time("MAX_RUNTIME")
        guard let seconds else { return nil }
        // The clock counts in Int64 attoseconds beside its seconds; thirty years end no run early.
        guard seconds > 0, seconds <= 1e9 else {
            throw UsageError("--max-runtime must be above 0 and at most 1e9 s, not \(seconds)")
        }
        return ContinuousClock.now + .seconds(seconds)
    }
}
