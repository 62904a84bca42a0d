/// Decides which decoded frames the reference's sampling takes, by their number.
struct ReferenceSampler {
    /// Number of each sampled frame among the decoded ones, ascending.
    private let indices: [Int]
    /// Number of samples taken.
    private var taken = 0
    /// Number of the frame that was decoded last.
    private var frame = -1

    init(indices: [Int]) { self.indices = indices }

    var isComplete: Bool { taken == indices.count }

    /// Counts a decoded frame, whether it is shown or not.
    mutating func countFrame() { frame += 1 }

    /// The samples that take the current frame.
    mutating func advance() -> Range<Int> {
        let first = taken
        while taken < indices.count, indices[taken] <= frame { taken += 1 }
        return first..<taken
    }

    /// The remaining samples, if fewer frames came than were counted.
    mutating func finish() -> Range<Int> {
        defer { taken = indices.count }
        return taken..<indices.count
    }
}
