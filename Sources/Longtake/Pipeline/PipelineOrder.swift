internal import Glibc
internal import Store

/// The order in which a pipeline takes its recordings.
package enum PipelineOrder: String, Sendable, CaseIterable {
    /// The one changed last comes first.
    case newest
    /// The one changed first comes first.
    case oldest
    /// The smallest file comes first.
    case smallest
    /// By path.
    case path

    /// Sorts files; those with equal keys stay in the order of their paths.
    func sorted(_ files: [InputPath]) -> [InputPath] {
        guard self != .path else { return files }
        let keyed = files.enumerated().map { number, file in
            let status = FileFingerprint(path: file.absolute.bytes)
            let key: Int64 =
                switch self {
                case .newest: -(status?.modified ?? 0)
                case .oldest: status?.modified ?? 0
                case .smallest, .path: status?.size ?? 0
                }
            return (key: key, number: number, file: file)
        }
        return keyed.sorted { ($0.key, $0.number) < ($1.key, $1.number) }.map(\.file)
    }
}
