internal import Glibc
internal import Media
internal import Store

extension Indexer {
    /// Applies the options to what an existing index knows of when and where its recording was made.
    ///
    /// Nothing is decoded; the container is opened only if its dates are not known yet.
    /// - Throws: `StoreError` `locked` while another process writes the index; `MediaError`.
    func updatingOrigin(of manifest: Manifest, _ recording: Recording) throws -> Manifest {
        guard !options.clock.isEmpty else { return manifest }
        let dates = manifest.origin?.dates == nil ? try recording.probe(request(), cancellation).info.dates ?? [:] : nil
        let origin = OriginFinder(options.clock).origin(
            of: recording.path.absolute, dates: dates, previous: manifest.origin)
        guard origin != manifest.origin else { return manifest }
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

    private var isReadOnly: Bool { access(library.cache.path, W_OK) != 0 }
}
