/// Distributes units over shards.
package enum ClusterBalance {
    /// Number of frames in a unit of a long recording: three segments.
    package static let framesPerUnit = 1800

    /// The frame ranges of a recording's units: whole multiples of a segment, but for the end of the last one, which is
    /// open.
    ///
    /// - Parameters:
    ///   - frames: expected number of frames; nil if the length is unknown: then there is one unit.
    ///   - unit: wanted number of frames per unit.
    package static func ranges(frames: Int?, unit: Int, segment: Int) -> [(first: Int, end: Int?)] {
        guard let frames, unit > 0, frames >= unit + unit / 2 else { return [(0, nil)] }
        let segments = (frames + segment - 1) / segment
        let perUnit = max(1, unit / segment)
        let count = max(1, (segments + perUnit - 1) / perUnit)
        return (0..<count).map { number in
            // Differences between units are at most one segment.
            let bounds = [number, number + 1].map { $0 * segments / count * segment }
            return (bounds[0], number == count - 1 ? nil : bounds[1])
        }
    }

    /// Assigns each cost to one of `shards` bins, the largest first to the bin with the least; returns the indices of
    /// each bin, ascending.
    ///
    /// With that rule the fullest bin has at most 4/3 of the least possible (Graham 1969), and far less with many units
    /// per bin.
    package static func assign(_ costs: [Double], shards: Int) -> [[Int]] {
        let count = max(1, min(shards, costs.count))
        var bins = [[Int]](repeating: [], count: count)
        var loads = PriorityQueue<Int>()
        for bin in 0..<count { loads.push(bin, 0, order: bin) }
        for index in costs.indices.sorted(by: { (costs[$1], $0) < (costs[$0], $1) }) {
            guard let (load, bin) = loads.popLeast() else { break }
            bins[bin].append(index)
            loads.push(bin, load + costs[index], order: bin)
        }
        return bins.map { $0.sorted() }
    }
}
