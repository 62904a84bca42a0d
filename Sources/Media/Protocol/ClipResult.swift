/// A clip that the worker has written.
package struct ClipResult: Sendable, Codable, Equatable {
    /// The containers of clips.
    package enum Container: String, Sendable, Codable, CaseIterable {
        case mp4, mov, webm, avi
        case matroska

        /// The usual end of a file's name.
        package var suffix: String { self == .matroska ? "mkv" : rawValue }
    }

    /// The clip's container.
    package var container: Container
    /// Time of the clip's first frame, in seconds from the recording's first frame; negative for a frame that an edit
    /// list hides.
    package var start: Double
    /// End of the clip's last frame, in seconds from the recording's first frame.
    package var end: Double
    /// Size in bytes.
    package var bytes: Int64
    /// What the clip lacks, one sentence each.
    package var notes: [String]
}

extension ClipResult {
    /// False for values that no clip has; the worker reads a hostile file.
    func isPlausible(_ clip: ClipRequest) -> Bool {
        start.isFinite && end.isFinite && start < end && abs(start) <= 1e9 && abs(end) <= 1e9
            && bytes > 0 && bytes <= clip.maxBytes && notes.count <= 64
    }
}
