/// Which recordings and times of day a pipeline asks about, as text: durations are before the start of each run.
package struct PipelineSelection: Sendable, Equatable {
    /// RFC 3339, a date, or a duration such as 24h or 7d; nil: no limit.
    package var since: String?
    package var until: String?
    /// Names of cameras; empty: all.
    package var cameras: [String] = []

    /// Selects everything.
    package init() {}

    /// The selection at a time.
    ///
    /// - Parameters:
    ///   - zone: the zone of times without an offset; nil: the system's.
    ///   - now: seconds since 1970.
    /// - Throws: `LongtakeError` `bad_request` for invalid text and an empty window.
    package func resolved(zone: ClockZone?, now: Double) throws -> RecordingSelection {
        try RecordingSelection(since: since, until: until, cameras: cameras, zone: zone, now: now)
    }
}
