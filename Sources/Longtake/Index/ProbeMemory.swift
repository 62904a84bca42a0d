internal import Media

/// What probing files gave, so that a plan and the run that follows it start one worker between them.
final class ProbeMemory {
    private struct Key: Hashable {
        let path: String
        let fingerprint: [Int64]
        let stream: Int?
    }

    /// The most files; those of a run over more are probed again.
    private static let limit = 10_000
    private var results: [Key: DecodeResult] = [:]

    /// The earlier result for the same unchanged file, else that of `probe`.
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
