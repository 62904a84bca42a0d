internal import Store
internal import Tensors

extension Searcher {
    /// The moments of one recording that a text describes.
    struct RecordingMoments {
        let manifest: Manifest
        /// Best first.
        let moments: [Evidence]
        /// Highest cosine of the frames in the range; nil if there are none.
        let best: Double?
        /// Minimum cosine of a frame in a moment; nil if there are no frames and none was given.
        let threshold: Double?
        /// Frames in the range.
        let frames: Int
        /// Times of the first and the last frame of the range, in seconds on the file's timeline; empty without frames.
        let range: [Double]
    }

    /// The moments of one index that a text describes.
    ///
    /// - Parameters:
    ///   - from, to: seconds on the file's timeline; `to` is not included.
    ///   - selection: times of day that limit the range.
    ///   - threshold: minimum cosine of a frame; nil: the frames that stand out in the range.
    ///   - limit: most moments.
    /// - Throws: `LongtakeError` `bad_request` for an index of another model or without embeddings, and for times of
    ///   day of a recording whose start is unknown; `interrupted`; `StoreError`.
    func moments(
        of query: String, inIndex indexID: String, from: Double?, to: Double?, in selection: RecordingSelection,
        threshold: Double?, limit: Int
    ) throws -> RecordingMoments {
        let manifest = try library.cache.manifest(indexID: indexID)
        guard manifest.key.model == hash else {
            throw LongtakeError(
                code: .badRequest,
                message: "the index was made with another model, \(manifest.modelName); index again with this one")
        }
        let part = try selection.narrowed(from: from, to: to, on: manifest.clock, of: manifest.path)
        var scan = EmbeddingScan(
            query: try embedding(of: query), cache: library.cache, kernels: compute.kernels,
            workers: compute.threadPool)
        if part.from != nil || part.to != nil {
            let first = part.from ?? -.infinity
            scan.ranges[indexID] = first..<max(first, part.to ?? .infinity)
        }
        scan.cancellation = cancellation
        let scored = try scan.run([manifest]).first
        if let error = scored?.error { throw error }
        let scores = scored?.scores ?? []
        let inside = scores.indices.filter { !scores[$0].isNaN }
        guard let first = inside.first, let last = inside.last else {
            return RecordingMoments(
                manifest: manifest, moments: [], best: nil, threshold: threshold, frames: 0, range: [])
        }
        let mean = inside.reduce(0.0) { $0 + Double(scores[$1]) } / Double(inside.count)
        let best = inside.reduce(-Double.infinity) { max($0, Double(scores[$1])) }
        let limitScore = threshold ?? MomentFinder.threshold(best: best, mean: mean)
        let runs = MomentFinder.runs(
            [scores], threshold: Float(limitScore), mean: threshold == nil ? Float(mean) : nil, limit: limit)
        let index = try IndexScan(cache: library.cache, indexID: indexID)
        func time(_ frame: Int, after seconds: Double = 0) throws -> Double {
            manifest.clock.fileTime(try index.entry(of: frame).gridTime + seconds)
        }
        return RecordingMoments(
            manifest: manifest,
            moments: try runs.map { run in
                Evidence(
                    start: try time(run.first), end: try time(run.last, after: manifest.key.frameSeconds),
                    score: Evidence.rounded(Double(run.score)), frame: run.best, clock: manifest.clock)
            },
            best: Evidence.rounded(best), threshold: threshold ?? Evidence.rounded(limitScore), frames: inside.count,
            range: [try time(first), try time(last)])
    }
}
