internal import Media

/// Results of probing files, so that a plan and the run after it start only one worker per file.
final class ProbeMemory {
    private struct Key: Hashable {
        let path: String
        let fingerprint: [Int64]
        let stream: Int?
    }

    /// Maximum number of files; further files are probed again.
    private static let limit = 10_000
    private var results: [Key: DecodeResult] = [:]

    /// Returns the earlier result for the same unchanged file, or else that of `probe`.
    func result(
        of file: RecordingFile, _ request: FrameRequest, probe: (FrameRequest) throws -> DecodeResult
    ) rethrows -> DecodeResult {
        let key = Key(
            path: file.displayPath,
            fingerprint: [file.size, file.modified, file.changed, Int64(truncatingIfNeeded: file.inode)],
            stream: request.stream)
        if let known = results[key] { return known }
        let result = try probe(request)
        if results.count < Self.limit { results[key] = result }
        return result
    }
}
