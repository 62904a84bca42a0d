internal import Glibc
internal import Media
internal import Store

extension Indexer {
    /// Applies the options to what an existing index knows of when and where its recording was made.
    ///
    /// Nothing is decoded; the container is opened only if its dates are not known yet. Of several files with the same
    /// content one decides (`Library.decidingPath`); `note` gets a sentence when another one is seen for the first time.
    /// - Throws: `StoreError` `locked` while another process writes the index; `MediaError`.
    func updatingOrigin(
        of manifest: Manifest, _ recording: Recording, note: (String) -> Void
    ) throws -> Manifest {
        guard let origin = try origin(of: manifest, recording, note: note), origin != manifest.origin else {
            return manifest
        }
        do {
            try library.cache.set(origin: origin, indexID: manifest.key.id)
        } catch let error as StoreError where error.code == .io && isReadOnly {
            // Questions about a cache that can only be read are answered with what it says.
            guard options.clock.start == nil, options.clock.camera == nil else { throw error }
            return manifest
        }
        var updated = manifest
        updated.origin = origin
        return updated
    }

    /// What an existing index says of its recording once the options are applied; see `updatingOrigin`.
    func origin(
        of manifest: Manifest, _ recording: Recording, note: (String) -> Void = { _ in }
    ) throws -> RecordingOrigin? {
        guard !options.clock.isEmpty else { return manifest.origin }
        let dates = manifest.origin?.dates == nil ? try recording.probe(request(), cancellation).info.dates ?? [:] : nil
        let (path, finder) = (recording.path.absolute, OriginFinder(options.clock))
        let known = recording.path.isStandardInput ? [] : try library.catalog.rows(indexID: manifest.key.id)
        let paths = known.map { InputPath(bytes: $0.pathBytes) }
        let deciding = library.decidingPath(of: path, indexID: manifest.key.id, known: paths)
        let origin = finder.origin(of: deciding, dates: dates, previous: manifest.origin)
        if deciding != path, !paths.contains(path),
            finder.origin(of: path, dates: dates, previous: manifest.origin) != origin
        {
            note("names: the same recording as \(deciding), whose path says when and where it was made")
        }
        return origin
    }

    private var isReadOnly: Bool { access(library.cache.path, W_OK) != 0 }
}
