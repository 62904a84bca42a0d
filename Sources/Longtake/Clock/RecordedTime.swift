internal import Store

/// When a recording was made, as times of day, and how that is known: the `clock` of JSON output.
public struct RecordedTime: Sendable, Codable, Equatable {
    /// The start of the file's timeline, RFC 3339 with offset.
    public let start: String
    /// The end of the recording; nil if its length is unknown.
    public let end: String?
    /// The time zone's name, or its offset such as +02:00.
    public let timezone: String
    /// How the time zone is known: `written` beside the time, `chosen`, or that of the `system`.
    public let timezoneSource: String
    /// How the start is known: from the `container`, from the `path`, or `stated`.
    public let source: String
    /// The container's tag, the pattern, or the text as stated.
    public let detail: String
    /// Seconds that the recording may have started later; nil if unknown.
    public let uncertainty: Double?
    /// Remarks about the start, one sentence each.
    public let notes: [String]

    /// The times of a recording; nil if its start is unknown.
    ///
    /// - Parameter end: its end on the file's timeline, in seconds; nil if unknown.
    init?(_ origin: RecordingOrigin?, end: Double?) {
        guard let origin, let known = origin.start else { return nil }
        let wall = WallClock(known)
        start = wall.rfc3339(0)
        self.end = end.map(wall.rfc3339)
        timezone = known.zone
        timezoneSource = known.zoneSource.rawValue
        source = known.source.rawValue
        detail = known.detail
        uncertainty = known.uncertainty
        notes = origin.notes
    }

    private enum CodingKeys: String, CodingKey {
        case start, end, timezone, source, detail, uncertainty, notes
        case timezoneSource = "timezone_source"
    }

    /// Encodes an unknown uncertainty as null.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(start, forKey: .start)
        try values.encodeIfPresent(end, forKey: .end)
        try values.encode(timezone, forKey: .timezone)
        try values.encode(timezoneSource, forKey: .timezoneSource)
        try values.encode(source, forKey: .source)
        try values.encode(detail, forKey: .detail)
        try values.encode(uncertainty, forKey: .uncertainty)
        try values.encode(notes, forKey: .notes)
    }
}

extension Manifest {
    /// When the recording was made; nil if its start is unknown.
    var recorded: RecordedTime? { RecordedTime(origin, end: duration.map(clock.fileTime)) }
}
