import ArgumentParser
import Longtake

/// Options for the duration of a run.
struct RuntimeOptions: ParsableArguments {
    @Option(
        .maxRuntime,
        """
        Stop after this time, once the open segment of 600 frames is sealed: exit status 3, and the next run continues \
        from there. 90, 10m, 5h; unlimited by default.
        """)
    var maxRuntime: TimeArgument?

    /// The deadline counted from now; nil if there is no limit.
    ///
    /// - Parameter file: a pipeline's limit in seconds, which comes after the option and before the environment.
    func deadline(file: Double? = nil) throws -> ContinuousClock.Instant? {
        let seconds =
            try maxRuntime?.seconds ?? file ?? OptionName.maxRuntime.environmentValue(TimeArgument.self)?.seconds
        guard let seconds else { return nil }
        // The clock's Int64 attoseconds limit its range; 1e9 s (about thirty years) is still safe and ends no run
        // early.
        guard seconds > 0, seconds <= 1e9 else {
            let source = OptionName.maxRuntime.source(typed: maxRuntime != nil)
            throw UsageError("\(source) must be above 0 and at most 1e9 s, not \(seconds)")
        }
        return ContinuousClock.now + .seconds(seconds)
    }
}
