internal import Glibc
internal import Store

/// The order in which a pipeline takes its recordings.
package enum PipelineOrder: String, Sendable, CaseIterable {
    /// The one changed last comes first.
    case newest
    /// The one changed first comes first.
    case oldest
    /// The shortest recording comes first; those of unknown length come last.
    case shortest
    /// The smallest file comes first.
    case smallest
    /// By path.
    case path

    /// Sorts files; those with equal keys stay in the order of their paths.
    ///
    /// - Parameter length: the length of a recording in seconds; nil: unknown. Called only for `shortest`.
    func sorted(_ files: [InputPath], length: (InputPath) throws -> Double?) rethrows -> [InputPath] {
        guard self != .path else { return files }
        let keyed = try files.enumerated().map { number, file in
            let status = FileFingerprint(path: file.absolute.bytes)
            let key: Int64 =
                switch self {
                case .newest: -(status?.modified ?? 0)
                case .oldest: status?.modified ?? 0
                case .shortest: Int64(saturating: try (length(file) ?? .infinity) * 1000)
                case .smallest, .path: status?.size ?? 0
                }
            return (key: key, number: number, file: file)
        }
        return keyed.sorted { ($0.key, $0.number) < ($1.key, $1.number) }.map(\.file)
    }
}
