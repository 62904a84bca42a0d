internal import Checkpoints
internal import Foundation
internal import Models
internal import Store
internal import Tensors

/// Finds the moments of indexed recordings that a text describes, by the model's text and frame embeddings.
///
/// Loads only the text half of the vision tower. Not thread-safe: belongs to the thread that computes.
package final class Searcher {
    /// Name of the model's folder.
    package let model: String
    /// Remarks about the model, e.g. that its weights are random.
    package let notes: [String]
    let library: Library
    let cancellation: Cancellation
    let hash: String
    let compute: Compute
    private let text: TextEmbedder
    private var embeddings: [String: [Float]] = [:]

    /// Loads the text tower of a model.
    ///
    /// - Parameter path: the folder of the model that the recordings were indexed with.
    /// - Throws: `LongtakeError` `unsupported_model` for a model that stores no embeddings; the errors of loading a
    ///   checkpoint.
    package init(
        model path: String, library: Library, settings: ModelSettings, cancellation: Cancellation = Cancellation()
    ) throws {
        try settings.validate()
        let (checkpoint, pair) = try Self.checkpoints(path)
        compute = try Compute(
            // The text tower is not quantized.
            precision: settings.precision == .bf16 ? .bf16 : .f32, backend: settings.backend, threads: settings.threads,
            instructionSet: settings.instructionSet)
        text = try TextEmbedder(pair, compute: compute)
        self.library = library
        self.cancellation = cancellation
        hash = ContentHash.sha256(pieces: checkpoint.identityBytes)
        model = ModelFolder.name(of: path)
        notes = checkpoint.notes
    }

    /// Checks that a model can search, without loading its weights.
    ///
    /// - Throws: as `init`.
    package static func check(model path: String) throws { _ = try checkpoints(path) }

    /// The checkpoints of a model and of its two towers.
    private static func checkpoints(_ path: String) throws -> (model: CheckpointFolder, towers: CheckpointFolder) {
        let checkpoint = try CheckpointFolder(path: path)
        guard checkpoint.fusion != nil else {
            throw LongtakeError(
                code: .unsupportedModel,
                message: "\(path) is a \(checkpoint.kind.rawValue) checkpoint: give the model that the recordings were "
                    + "indexed with (model_type llava_mini_llama)")
        }
        guard checkpoint.towerSource == .folder else {
            throw LongtakeError(
                code: .unsupportedModel,
                message:
                    "\(path) computes with the vision tower inside the checkpoint, which has no text half: searching "
                    + "needs a whole CLIP checkpoint as mm_vision_tower")
        }
        let pair = try TextEmbedder.pair(of: checkpoint)
        guard checkpoint.embeddingSize == (try TextEmbedder.config(of: pair)).projectionSize else {
            throw LongtakeError.noTextHalf(pair.path)
        }
        return (checkpoint, pair)
    }

    /// The embedding of a text, which is computed once.
    func embedding(of query: String) throws -> [Float] {
        if let known = embeddings[query] { return known }
        let made = try text.embed(query)
        embeddings[query] = made
        return made
    }

    /// The moments that a text describes, best first, in all or some of the recordings indexed with this model.
    ///
    /// - Parameters:
    ///   - recordings: indexed files, folders of them, IDs or prefixes of IDs; empty: everything.
    ///   - progress: gets the fraction of the frames scored.
    /// - Throws: `LongtakeError`: `bad_request` for an empty text or an invalid option, `unknown_recording` if nothing
    ///   that was named can be searched. A damaged index is in the result's `failed`; if all are damaged, the last
    ///   error is thrown.
    package func search(
        _ query: String, in recordings: [InputPath] = [], options: SearchOptions = SearchOptions(),
        progress: (Double) -> Void = { _ in }
    ) throws -> SearchResult {
        try options.validate()
        try TextEmbedder.check(query)
        var choice = IndexChoice(library: library, model: hash, modelName: model, size: text.size)
        let selection = try SearchSelection(options, choice.choose(recordings))
        let clock = ContinuousClock()
        let start = clock.now
        let embedding = try text.embed(query)
        let embedded = clock.now
        var scan = EmbeddingScan(
            query: embedding, cache: library.cache, kernels: compute.kernels, workers: compute.threadPool)
        scan.ranges = selection.ranges
        scan.cancellation = cancellation
        let scored = try scan.run(selection.manifests, progress: progress)
        let faults = scored.compactMap { one in
            one.error.map { (one.manifest, Failure($0, subject: one.manifest.path)) }
        }
        if let last = faults.last, faults.count == scored.count { throw last.1 }
        var result = try result(query, scored, options)
        result.notes = notes + choice.notes + selection.notes + result.notes
        result.timings = .init(text: (embedded - start).seconds, scan: (clock.now - embedded).seconds)
        for index in Set(result.moments.map(\.recording.index)) { library.cache.touchAsked(indexID: index) }
        return result
    }

    private func result(
        _ query: String, _ scored: [EmbeddingScan.Scored], _ options: SearchOptions
    ) throws -> SearchResult {
        var (count, sum, best) = (0, 0.0, -Double.infinity)
        for score in scored.lazy.flatMap(\.scores) where !score.isNaN {
            count += 1
            sum += Double(score)
            best = max(best, Double(score))
        }
        let mean = sum / Double(max(count, 1))
        let threshold = options.threshold ?? MomentFinder.threshold(best: best, mean: mean)
        let runs =
            count > 0
            ? MomentFinder.runs(
                scored.map(\.scores), threshold: Float(threshold),
                mean: options.threshold == nil ? Float(mean) : nil, limit: options.limit) : []
        var moments = [Moment?](repeating: nil, count: runs.count)
        var files = try library.locations()
        // One index is open at a time, whatever the number of moments.
        for (recording, indices) in Dictionary(grouping: runs.indices, by: { runs[$0].recording }) {
            let manifest = scored[recording].manifest
            let scan = try IndexScan(cache: library.cache, indexID: manifest.key.id)
            for index in indices {
                let run = runs[index]
                moments[index] = Moment(
                    start: try scan.entry(of: run.first).gridTime,
                    end: try scan.entry(of: run.last).gridTime + manifest.key.frameSeconds,
                    best: try scan.entry(of: run.best).gridTime, clock: manifest.clock,
                    score: Evidence.rounded(Double(run.score)), frame: run.best,
                    recording: Moment.Recording(manifest, &files))
            }
        }
        var notes: [String] = []
        if count == 0 { notes.append("no frames in range") }
        for one in scored where one.manifest.state == "partial" && one.error == nil {
            let path = library.currentPath(of: one.manifest)
            notes.append("partial: the index of \(path) does not cover all of it")
        }
        func rounded(_ value: Double) -> Double? { count > 0 ? Evidence.rounded(value) : nil }
        return SearchResult(
            query: query, model: model, moments: moments.compactMap { $0 },
            threshold: options.threshold ?? rounded(threshold), best: rounded(best), mean: rounded(mean), frames: count,
            recordings: scored.count, notes: notes,
            failed: scored.compactMap { one in
                one.error.map {
                    .init(recording: .init(one.manifest, &files), error: Failure($0, subject: one.manifest.path))
                }
            })
    }
}

extension Moment.Recording {
    init(_ manifest: Manifest, _ locations: inout RecordingLocations) {
        let location = locations.shown(of: manifest.key.id, manifest)[0]
        self.init(
            id: Library.id(content: manifest.key.content), index: manifest.key.id,
            name: location.path.bytes.isEmpty ? manifest.name : String(decoding: location.path.name, as: UTF8.self),
            path: location.path.description, file: location.state, camera: manifest.origin?.camera)
    }
}
