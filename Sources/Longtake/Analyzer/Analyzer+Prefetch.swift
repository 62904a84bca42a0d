package import Media
internal import Models
internal import Store

extension Analyzer {
    /// Prepares a recording to be indexed while another one is computed.
    ///
    /// Nothing is decoded ahead of a file that is still growing, is indexed or partly indexed already, or cannot be read:
    /// its turn decides. The result must be used or cancelled.
    /// - Parameter accepts: whether the recording is taken in its turn; called on another thread.
    /// - Returns: nil if nothing can be done ahead.
    package func prefetch(
        _ path: InputPath, options: IndexOptions, accepts: @escaping @Sendable (RecordingInfo) -> Bool = { _ in true }
    ) -> RecordingPrefetch? {
        guard !path.isStandardInput, (try? options.validate()) != nil else { return nil }
        let settings = IndexSettings(options, ModelIdentity(model))
        let job = RecordingPrefetch.Job(
            options: options, request: Indexer.request(model, options),
            size: FrameEncoder.batchSize(rows: model.llava.patchRows), key: { settings.key(content: $0) },
            cache: library.cache, catalog: library.catalog, accepts: accepts)
        return RecordingPrefetch(path, job, cancellation)
    }

    /// Waits for a recording's work ahead and returns it, for `index`.
    package func recording(of prefetched: RecordingPrefetch) -> Recording {
        times.waiting { prefetched.recording }
    }
}
