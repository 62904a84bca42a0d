internal import Store

extension RecordingSelection {
    /// Whether an indexed recording is selected.
    func verdict(on manifest: Manifest) -> Verdict {
        verdict(
            camera: manifest.origin?.camera, clock: manifest.clock, end: manifest.duration.map(manifest.clock.fileTime))
    }

    /// Whether a recording that is now indexed is selected.
    func verdict(on indexed: IndexedRecording) -> Verdict {
        let instants = [indexed.clock?.start, indexed.clock?.end].map { text in
            text.flatMap { ClockTime($0) }?.instant(in: .utc).seconds
        }
        let clock = RecordingClock(wall: instants[0].map { WallClock(start: $0, zone: .utc) })
        let end = instants[1].flatMap { end in instants[0].map { end - $0 } }
        return verdict(camera: indexed.camera, clock: clock, end: end)
    }
}
