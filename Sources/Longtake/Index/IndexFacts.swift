internal import Store

/// What a run says of an index without opening it; kept in the catalog beside the manifest file it was taken from.
struct IndexFacts: Codable {
    /// Of the settings; see `IndexSettings`.
    let settings: String
    let frames: Int
    let bytes: Int64
    let duration: Double?
    let state: String
    let warnings: [String]
    let counters: [String: Int]
    let hasAllPatches: Bool

    init(_ manifest: Manifest) {
        settings = IndexSettings.signature(of: manifest.key)
        frames = manifest.frames
        bytes = manifest.bytes
        duration = manifest.duration
        state = manifest.state
        warnings = manifest.warnings
        counters = manifest.counters
        hasAllPatches = manifest.hasAllPatches
    }

    /// Whether the numbers can be those of an index: they are added up.
    var isPossible: Bool { Manifest.isPossible(frames: frames, bytes: bytes, duration: duration) }
}
