/// Where and when a recording was made, as far as it is known.
///
/// It is no part of the index key: changing it changes no frame.
public struct RecordingOrigin: Sendable, Codable, Equatable {
    /// How a value is known, the most reliable last.
    public enum Source: String, Sendable, Codable, CaseIterable {
        /// From the container's metadata.
        case container
        /// From the recording's path.
        case path
        /// Stated by a person.
        case stated
    }

    /// The camera's name; nil if unknown.
    public var camera: String?
    /// How the camera is known.
    public var cameraSource: Source?
    /// When the recording started; nil if unknown.
    public var start: RecordingStart?
    /// The dates in the container's metadata by tag, as written there; nil if the container was not asked.
    public var dates: [String: String]?
    /// Remarks about the camera and the start, one sentence each.
    public var notes: [String]

    /// Creates an origin; by default nothing is known.
    public init(
        camera: String? = nil, cameraSource: Source? = nil, start: RecordingStart? = nil,
        dates: [String: String]? = nil, notes: [String] = []
    ) {
        self.camera = camera
        self.cameraSource = cameraSource
        self.start = start
        self.dates = dates
        self.notes = notes
    }

    private enum CodingKeys: String, CodingKey {
        case camera, start, dates, notes
        case cameraSource = "camera_source"
    }

    /// Longest name of a camera, in bytes of UTF-8.
    public static let maxCameraBytes = 255

    /// False for values that this program does not write.
    var isConsistent: Bool {
        (camera?.utf8.count ?? 0) <= Self.maxCameraBytes
            && (start.map { RecordingStart.instants.contains($0.instant) && $0.zone.utf8.count <= 64 } ?? true)
            && (start?.uncertainty.map { $0 >= 0 && $0 <= 1e9 } ?? true)
    }
}

/// The time of day at the start of a recording's timeline, and how it is known.
public struct RecordingStart: Sendable, Codable, Equatable {
    /// How a time zone is known.
    public enum ZoneSource: String, Sendable, Codable {
        /// The time was written with its offset from UTC.
        case written
        /// It was chosen for this recording.
        case chosen
        /// It was the zone of the system that indexed the recording.
        case system
    }

    /// Seconds since 1970 in UTC.
    public var instant: Double
    /// The time zone's name, or its offset such as +02:00.
    public var zone: String
    /// How the time zone is known.
    public var zoneSource: ZoneSource
    /// How the start is known.
    public var source: RecordingOrigin.Source
    /// What the start was read from: the container's tag, the pattern, or the text as given.
    public var detail: String
    /// Seconds that the recording may have started after `instant`; nil if unknown.
    public var uncertainty: Double?

    /// Creates a start from its values.
    public init(
        instant: Double, zone: String, zoneSource: ZoneSource, source: RecordingOrigin.Source, detail: String,
        uncertainty: Double?
    ) {
        self.instant = instant
        self.zone = zone
        self.zoneSource = zoneSource
        self.source = source
        self.detail = detail
        self.uncertainty = uncertainty
    }

    private enum CodingKeys: String, CodingKey {
        case instant, zone, source, detail, uncertainty
        case zoneSource = "zone_source"
    }

    /// The starts that are accepted: 1900 to 2099 in UTC.
    public static let instants = -2_208_988_800.0..<4_102_444_800.0
}
