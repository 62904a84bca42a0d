internal import Checkpoints

/// The paper's headline figures beside those of this machine.
package struct HeadlineReport: Sendable, Encodable {
    /// One length of a recording; times are to the first token of the answer.
    package struct Length: Sendable, Encodable {
        /// Frames of the recording.
        package let frames: Int
        /// Positions of the prompt.
        package let positions: Int
        /// Operations of the first question, nothing computed before.
        package let operations: Double
        /// Its seconds.
        package let seconds: Double
        /// True if `seconds` follow from measured rates.
        package let isComputed: Bool
        /// Operations of a further question about the same frames.
        package let againOperations: Double
        /// Its seconds.
        package let againSeconds: Double
        /// True if `againSeconds` follow from measured rates.
        package let isAgainComputed: Bool
        /// Operations of any question as the reference asks it: everything again.
        package let referenceOperations: Double
        /// Its seconds, computed from the rates measured here.
        package let referenceSeconds: Double
        /// Bytes of a question, weights included.
        package let memoryBytes: Int64
        /// The same for the reference, without activations.
        package let referenceMemoryBytes: Int64
        /// True if the prompt fits in the model's positions.
        package let fitsContext: Bool

        private enum CodingKeys: String, CodingKey {
            case frames, positions, operations, seconds
            case isComputed = "computed"
            case againOperations = "again_operations"
            case againSeconds = "again_seconds"
            case isAgainComputed = "again_computed"
            case referenceOperations = "reference_operations"
            case referenceSeconds = "reference_seconds"
            case memoryBytes = "memory_bytes"
            case referenceMemoryBytes = "reference_memory_bytes"
            case fitsContext = "fits_context"
        }
    }

    /// One model.
    package struct Model: Sendable, Encodable {
        /// The model.
        package let name: String
        /// Parameters, the vision tower's included.
        package let parameters: Int
        /// Bytes of all of them in 16 bits.
        package let weightBytes: Int64
        /// Vision tokens per frame.
        package let tokensPerFrame: Int
        /// Positions of the language model.
        package let maxPositions: Int
        /// Operations from one image to the first token.
        package let imageOperations: Double
        /// The same as the reference computes it.
        package let referenceImageOperations: Double
        /// Seconds from one image to the first token, the median.
        package let firstTokenSeconds: Double
        /// Every run.
        package let firstTokenRuns: [Double]
        /// Operations per second of the frame path, of a long prompt's products and of its attention.
        package let rates: Rates
        /// Bytes of a question per frame.
        package let frameBytes: Int64
        /// The same for the reference.
        package let referenceFrameBytes: Int64
        /// Bytes of a frame in the index, on the disk.
        package let recordBytes: Int64
        /// The most frames within 24 GiB.
        package let longest: Int
        /// The same with keys and values in int8.
        package let longestInt8: Int
        /// The same for the reference.
        package let referenceLongest: Int
        /// The most frames whose prompt fits in the positions.
        package let longestContext: Int
        /// The lengths.
        package let lengths: [Length]

        private enum CodingKeys: String, CodingKey {
            case name, parameters, lengths, rates
            case weightBytes = "weight_bytes"
            case tokensPerFrame = "tokens_per_frame"
            case maxPositions = "max_positions"
            case imageOperations = "image_operations"
            case referenceImageOperations = "reference_image_operations"
            case firstTokenSeconds = "first_token_seconds"
            case firstTokenRuns = "first_token_runs"
            case frameBytes = "frame_bytes"
            case referenceFrameBytes = "reference_frame_bytes"
            case recordBytes = "record_bytes"
            case longest = "longest_frames"
            case longestInt8 = "longest_frames_int8"
            case referenceLongest = "reference_longest_frames"
            case longestContext = "longest_frames_of_context"
        }
    }

    /// Measured rates, in operations per second.
    package struct Rates: Sendable, Encodable {
        /// From pixels to vision tokens and fused text, one frame.
        package let frame: Double
        /// The language model's products, a slice of a prompt.
        package let products: Double
        /// Its attention over a long prompt.
        package let attention: Double
    }

    /// "headline".
    package let benchmark = "headline"
    /// "full" or "nano".
    package let shape: String
    /// The machine and the settings.
    package let machine: BenchMachine
    /// Tokens of the text before and after the frames.
    package let textTokens: [Int]
    /// The limit that the longest recording must fit in.
    package let limitBytes = HeadlineMemory.limit
    /// Largest resident memory of the run.
    package let peakBytes: Int
    /// LLaVA-v1.5, LLaVA-Mini on Vicuna, LLaVA-Mini on Llama 3.1.
    package let models: [Model]
    /// The paper's claims.
    package let claims: [HeadlineClaim]

    private enum CodingKeys: String, CodingKey {
        case benchmark, shape, machine, models, claims
        case textTokens = "text_tokens"
        case limitBytes = "limit_bytes"
        case peakBytes = "peak_bytes"
    }

    init(shape: String, machine: BenchMachine, models: [Model]) {
        (self.shape, self.machine, self.models) = (shape, machine, models)
        textTokens = [HeadlineModel.text.before, HeadlineModel.text.after]
        peakBytes = ProcessMemory.peakBytes
        claims = HeadlineClaim.all(models)
    }
}

extension HeadlineReport.Model {
    init(_ model: HeadlineModel, _ measured: HeadlineRates, lengths: [Int]) {
        let (cost, memory, sample) = (model.cost, HeadlineMemory(model), HeadlineModel.sample)
        name = model.name
        parameters = model.sizes.parameters
        weightBytes = memory.weights
        tokensPerFrame = model.parts.fusion.tokensPerFrame
        maxPositions = model.parts.language.maxPositions
        imageOperations = cost.first(frames: 1)
        referenceImageOperations = cost.reference(frames: 1)
        firstTokenSeconds = measured.first
        firstTokenRuns = measured.image
        rates = HeadlineReport.Rates(
            frame: measured.frame, products: measured.linear, attention: measured.attention)
        frameBytes = memory.frame
        referenceFrameBytes = memory.referenceFrame
        recordBytes = memory.record
        (longest, longestInt8, referenceLongest) = (memory.longest, memory.longestInt8, memory.referenceLongest)
        longestContext = (maxPositions - cost.positions(frames: 0)) / tokensPerFrame
        let positions = maxPositions
        self.lengths = lengths.map { frames in
            let (first, again) = (measured.first(frames: frames), measured.again(frames: frames))
            return HeadlineReport.Length(
                frames: frames, positions: cost.positions(frames: frames),
                operations: cost.first(frames: frames, sample: sample), seconds: first.seconds,
                isComputed: first.isComputed, againOperations: cost.again(frames: frames, sample: sample),
                againSeconds: again.seconds, isAgainComputed: again.isComputed,
                referenceOperations: cost.reference(frames: frames),
                referenceSeconds: measured.reference(frames: frames).seconds, memoryBytes: memory.bytes(frames: frames),
                referenceMemoryBytes: memory.referenceBytes(frames: frames),
                fitsContext: cost.positions(frames: frames) <= positions)
        }
    }
}
