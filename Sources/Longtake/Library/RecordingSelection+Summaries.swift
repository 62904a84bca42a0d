extension RecordingSelection {
    /// The recordings that are selected, and what was left out, one sentence each.
    ///
    /// - Throws: `LongtakeError` `bad_request` for a camera that none of them has.
    package func apply(
        to recordings: [RecordingSummary]
    ) throws -> (selected: [RecordingSummary], notes: [String]) {
        guard !isEmpty else { return (recordings, []) }
        try checkCameras(recordings.map(\.camera))
        let sorted = Dictionary(grouping: recordings) {
            verdict(camera: $0.camera, clock: $0.clock, end: $0.end)
        }
        let selected = sorted[.selected] ?? []
        return (selected, notes(unknown: sorted[.unknownStart]?.count ?? 0, selected: selected.count))
    }
}
