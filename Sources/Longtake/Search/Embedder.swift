internal import Checkpoints
package import Media
internal import Models
internal import Tensors

/// Embeds texts, images and frames as unit vectors in the shared space of a CLIP checkpoint's two towers.
///
/// Matching texts and images have a high cosine. Not thread-safe: belongs to the thread that computes.
package final class Embedder {
    /// The folder of the two towers' checkpoint.
    package let path: String
    /// Dimensions of an embedding.
    package let size: Int
    /// Most tokens of a text, including the begin and end tokens; a longer text is truncated before its end token.
    package let maxTokens: Int
    /// How an image is resized, cropped and normalized for the vision tower.
    package let preprocessing: ImagePreprocessing
    /// Remarks about the checkpoint, e.g. that its weights are random.
    package let notes: [String]
    private let compute: Compute
    private let vision: VisionTower
    private let text: TextEmbedder
    private let batchSize: Int

    /// Loads both towers.
    ///
    /// - Parameter path: the folder of a CLIP checkpoint with both towers, or of a model whose vision tower is one.
    /// - Throws: `LongtakeError` `unsupported_model` for a tower without its text half; the errors of loading a
    ///   checkpoint.
    package init(path: String, settings: ModelSettings) throws {
        try settings.validate()
        let given = try CheckpointFolder(path: path)
        let pair = try TextEmbedder.pair(of: given)
        guard let visionConfig = pair.vision else { throw LongtakeError.noTextHalf(pair.path) }
        let precision = settings.resolvedPrecision(ofTowers: pair)
        let quantizing = pair.quantizing(in: precision)
        try MemoryBudget.read()?.check(
            "the towers of \(pair.path)", needed: pair.loadBytes(as: precision.activations, quantizing: quantizing))
        let compute = try Compute(
            precision: precision.activations, backend: settings.backend, threads: settings.threads,
            instructionSet: settings.instructionSet)
        self.compute = compute
        // The text embedder validates both towers.
        text = try TextEmbedder(pair, compute: compute)
        let tensors = pair.weights.tensors
        func reader(_ prefix: String) -> WeightReader {
            WeightReader(tensors, prefix: prefix, compute: compute, quantizing: quantizing)
        }
        // All layers: the embedding is taken after the last one, unlike the patches for the language model.
        vision = try VisionTower(
            reader(TensorName.visionTower), config: visionConfig, layerCount: visionConfig.layerCount,
            projection: reader(TensorName.visualProjection))
        self.path = pair.path
        size = text.size
        maxTokens = text.maxTokens
        // The given folder's preprocessing: an image is laid out as the whole model would see it.
        preprocessing = try LoadedModel.preprocessing(given, side: visionConfig.imageSize)
        notes = pair.notes
        batchSize = FrameEncoder.batchSize(rows: visionConfig.patchCount)
    }

    /// The embedding of a text, truncated to `maxTokens`; names of special tokens are treated as text.
    ///
    /// - Throws: `LongtakeError` `bad_request` for an empty or blank text.
    package func embed(text query: String) throws -> [Float] { try text.embed(query) }

    /// The embedding of a still image, laid out as `ask` does.
    package func embed(image: RGBImage) throws -> [Float] {
        let rows = try embed(pixels: [preprocessing.square(image).pixels])
        return rows.first ?? []
    }

    /// The embedding of an image file (PNG, JPEG, WebP), decoded in the sandboxed worker process.
    ///
    /// - Throws: `Failure` that names the file.
    package func embed(imageFile path: InputPath) throws -> [Float] {
        do {
            return try embed(image: FrameStream.image(RecordingFile(image: path.bytes)))
        } catch {
            throw Failure(error, subject: path.description)
        }
    }

    /// The embeddings of frames as decoded for the model; of a frame in several parts only the last, the whole frame.
    package func embed(frames: some Collection<Frame>) throws -> [[Float]] { try embed(pixels: frames.map(\.rgb)) }

    private func embed(pixels: [[UInt8]]) throws -> [[Float]] {
        let config = vision.config
        let bytes = 3 * config.imageSize * config.imageSize
        if let wrong = pixels.first(where: { $0.isEmpty || $0.count % bytes != 0 }) {
            throw LongtakeError(
                code: .badRequest,
                message: "a frame has \(wrong.count) bytes; the vision tower takes "
                    + "\(config.imageSize)×\(config.imageSize) RGB")
        }
        var rows: [[Float]] = []
        for start in stride(from: 0, to: pixels.count, by: batchSize) {
            let count = min(batchSize, pixels.count - start)
            let hidden = vision.forward(images: count) { image, out in
                pixels[start + image].withUnsafeBufferPointer { rgb in
                    guard let base = rgb.baseAddress else { return }
                    compute.patchify(
                        rgb: base + rgb.count - bytes, grid: config.gridSize, patch: config.patchSize,
                        mean: preprocessing.mean, std: preprocessing.std, into: out)
                }
            }
            let projected = vision.pooled(hidden, images: count).projected ?? []
            for first in stride(from: 0, to: projected.count, by: size) {
                rows.append(try TextEmbedder.unit(projected[first..<first + size]))
            }
        }
        return rows
    }
}

extension Embedder {
    /// The embedding of one frame of a recording.
    package struct FrameEmbedding: Sendable {
        /// Frame number in the sampling, from 0.
        package let index: Int
        /// Grid time in seconds from the first frame.
        package let time: Double
        /// A unit vector of `size` values.
        package let embedding: [Float]
    }

    /// The result of embedding a recording's frames.
    package struct Summary: Sendable {
        /// Frames embedded.
        package let frames: Int
        /// True if the frames do not cover the whole recording.
        package let isPartial: Bool
        /// What is unusual about the recording, one sentence each.
        package let notes: [String]
    }

    /// Embeds a recording's frames, sampled and laid out as by `index`; `each` gets them one at a time, in order.
    ///
    /// - Throws: `Failure` that names the file, also for errors of `each`.
    package func embed(
        recording path: InputPath, options: IndexOptions = IndexOptions(),
        cancellation: Cancellation = Cancellation(), each: (FrameEmbedding) throws -> Void
    ) throws -> Summary {
        do {
            try options.validate()
            let file = try path.open(cancellation: cancellation)
            let request = options.request(.model(preprocessing, resolutionRatio: 1))
            var done = 0
            let result = try FrameBatches.forEach(of: file, request, size: batchSize, cancellation) { frames, _ in
                for (frame, embedding) in zip(frames, try embed(frames: frames)) {
                    try each(FrameEmbedding(index: frame.index, time: frame.gridTime, embedding: embedding))
                }
                done += frames.count
            }
            var notes = result.notes.map { "\($0.code): \($0.message)" }
            if result.status == .partial {
                notes.append("partial: the frames cover 0 to \((result.coveredSeconds * 10).rounded() / 10) s")
            }
            return Summary(frames: done, isPartial: result.status == .partial, notes: notes)
        } catch {
            throw Failure(error, subject: path.description)
        }
    }
}
