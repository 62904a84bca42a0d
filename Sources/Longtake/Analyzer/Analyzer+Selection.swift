internal import Media
internal import Store

extension Analyzer {
    /// The clock of a file that is not indexed yet.
    func clock(of path: InputPath, _ info: RecordingInfo?, _ options: IndexOptions) -> RecordingClock {
        let origin = OriginFinder(options.clock).origin(of: path.absolute, dates: info?.dates ?? [:])
        return RecordingClock(start: info?.fileStart ?? 0, wall: origin.start.map { WallClock($0) })
    }

    /// Whether a recording is selected by its camera and its time, without indexing it.
    ///
    /// - Parameter path: a file, or the ID of an indexed recording. Of a file that is not indexed, the container is
    ///   opened; standard input is always selected.
    /// - Throws: `Failure` if the file cannot be read; `LongtakeError` `unknown_recording`.
    package func verdict(
        on path: InputPath, options: IndexOptions, by selection: RecordingSelection
    ) throws -> RecordingSelection.Verdict {
        guard !selection.isEmpty, !path.isStandardInput else { return .selected }
        func verdict(_ manifest: Manifest) -> RecordingSelection.Verdict {
            selection.verdict(
                camera: manifest.origin?.camera, clock: manifest.clock,
                end: manifest.duration.map(manifest.clock.fileTime))
        }
        guard path.exists else {
            let known = try library.indexes(matching: path.description)
            guard let first = known.first(where: { $0.key.model == model.hash }) ?? known.first else {
                throw LongtakeError.unknown(path.description)
            }
            return verdict(first)
        }
        if let known = try KnownFiles(library, model: ModelIdentity(model), options: options).unchanged(path),
            let manifest = try? library.cache.manifest(indexID: known.index)
        {
            return verdict(manifest)
        }
        let recording = Recording(path)
        defer { recording.close() }
        // A file that was indexed right after its last change is not proven unchanged; what was stated of it counts.
        let plan = try plan(recording, options: options, sizes: false)
        let origin = OriginFinder(options.clock).origin(
            of: path.absolute, dates: plan.info?.dates ?? [:], previous: plan.origin)
        let clock = RecordingClock(start: plan.info?.fileStart ?? 0, wall: origin.start.map { WallClock($0) })
        return selection.verdict(
            camera: origin.camera, clock: clock, end: plan.info?.duration.map { $0 + clock.start })
    }
}
