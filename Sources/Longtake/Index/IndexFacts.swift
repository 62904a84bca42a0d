internal import Store

/// Facts about an index that a run reports without opening it; stored in the catalog with its manifest's stamp.
struct IndexFacts: Codable {
    /// Signature of the settings; see `IndexSettings`.
    let settings: String
    let frames: Int
    let bytes: Int64
    let duration: Double?
    let state: IndexState
    let warnings: [String]
    let counters: [String: Int]
    let hasAllPatches: Bool
    let framesReused: Int?
    /// Time of the first frame on the file's timeline; nil also if the time of day is unknown.
    let start: Double?
    let origin: RecordingOrigin?

    init(_ manifest: Manifest) {
        settings = IndexSettings.signature(of: manifest.key)
        frames = manifest.frames
        bytes = manifest.bytes
        duration = manifest.duration
        state = manifest.indexState
        warnings = manifest.warnings
        counters = manifest.counters
        hasAllPatches = manifest.hasAllPatches
        framesReused = manifest.framesReused
        start = manifest.origin?.start == nil ? nil : manifest.start
        origin = manifest.origin
    }

    /// When the recording was made; nil if unknown.
    var recorded: RecordedTime? {
        let clock = RecordingClock(start: start ?? 0)
        return RecordedTime(origin, end: duration.map(clock.fileTime))
    }

    /// True if the values are plausible for an index, so that sums over many indexes do not overflow.
    var isPossible: Bool { Manifest.isPossible(frames: frames, bytes: bytes, duration: duration) }
}
