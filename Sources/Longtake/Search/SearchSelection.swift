internal import Store

/// The indexes that are searched, and the range of each.
struct SearchSelection {
    let manifests: [Manifest]
    /// By index ID, in seconds on the file's timeline; an index without one is searched as a whole.
    let ranges: [String: Range<Double>]
    /// What was left out, one sentence each.
    let notes: [String]

    /// Selects among the indexes of the recordings that were named.
    ///
    /// - Throws: `LongtakeError` `bad_request` for a camera that none of them has.
    init(_ options: SearchOptions, _ chosen: [Manifest]) throws {
        let selection = options.selection
        try selection.checkCameras(chosen.map { $0.origin?.camera })
        let sorted = Dictionary(grouping: chosen) { selection.verdict(on: $0) }
        manifests = sorted[.selected] ?? []
        notes = selection.notes(unknown: sorted[.unknownStart]?.count ?? 0, selected: manifests.count)
        var ranges: [String: Range<Double>] = [:]
        for manifest in manifests {
            let window = selection.range(on: manifest.clock)
            let from = [options.from, window?.from].compactMap(\.self).max()
            let to = [options.to, window?.to].compactMap(\.self).min()
            guard from != nil || to != nil else { continue }
            let first = from ?? -.infinity
            ranges[manifest.key.id] = first..<max(first, to ?? .infinity)
        }
        self.ranges = ranges
    }
}
