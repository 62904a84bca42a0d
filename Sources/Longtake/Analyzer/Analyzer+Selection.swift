internal import Media
internal import Store

extension Analyzer {
    /// The camera and the clock of a file without an index.
    func origin(
        of path: InputPath, _ info: RecordingInfo?, _ options: IndexOptions
    ) -> (camera: String?, clock: RecordingClock) {
        let origin = OriginFinder(options.clock).origin(of: path.absolute, dates: info?.dates ?? [:])
        return (origin.camera, RecordingClock(start: info?.fileStart ?? 0, wall: origin.start.map { WallClock($0) }))
    }

    /// Whether a recording is selected by its camera and its time, without indexing it.
    ///
    /// An index with these options counts, under whatever path the content was indexed; a file is hashed if a recording
    /// of its size is indexed and the catalog does not know the file. Without an index the path and the container count.
    /// The file stays open.
    /// - Parameter recording: a file, or the ID of an indexed recording; standard input is always selected.
    /// - Throws: `Failure` if the file cannot be read; `LongtakeError` `unknown_recording`.
    package func verdict(
        on recording: Recording, options: IndexOptions, by selection: RecordingSelection
    ) throws -> RecordingSelection.Verdict {
        let path = recording.path
        guard !selection.isEmpty, !path.isStandardInput else { return .selected }
        guard path.exists else {
            let known = try library.indexes(matching: path.description)
            guard let first = known.first(where: { $0.key.model == model.hash }) ?? known.first else {
                throw LongtakeError.unknown(path.description)
            }
            return selection.verdict(on: first)
        }
        if let known = try KnownFiles(library, model: ModelIdentity(model), options: options).unchanged(path),
            let manifest = try? library.cache.manifest(indexID: known.index)
        {
            return selection.verdict(on: manifest)
        }
        let indexer = try indexer(options)
        if let manifest = try naming(recording, { try indexer.indexedManifest(of: recording) }) {
            return selection.verdict(on: manifest)
        }
        let plan = try plan(recording, options: options, sizes: false)
        let (camera, clock) = origin(of: path, plan.info, options)
        return selection.verdict(camera: camera, clock: clock, end: plan.info?.duration.map { $0 + clock.start })
    }
}
