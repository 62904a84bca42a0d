internal import Checkpoints
internal import Media
internal import Models
internal import Tensors

/// The model that a benchmark runs: one in a folder, or random weights in memory.
package final class BenchModel {
    /// What a benchmark computes; random weights are made for that only.
    package enum Part: Sendable {
        /// From pixels to frame records.
        case frames
        /// The language model.
        case language
        /// Pre-fusion and the language model.
        case question

        var hasLanguage: Bool { self != .frames }
    }

    /// Weights whose formats are no precision of a folder: random ones only.
    package enum Weights: String, Sendable, CaseIterable {
        /// The language model in int4, the others in bf16.
        case int4
        /// The language model in int4, the others in int8.
        case int8Int4 = "int8+int4"

        func format(of part: ModelPart) -> WeightFormat? {
            part == .language ? .int4 : self == .int4 ? nil : .int8
        }
    }

    /// The accepted precisions.
    package static let precisions = ModelSettings.precisions + Weights.allCases.map(\.rawValue)

    /// The shapes of random models.
    package static let shapes = ["full", "nano"]

    let name: String
    let llava: LlavaMini
    let preprocessing: ImagePreprocessing
    /// Operations per frame.
    let frameWork: ModelCost.FrameWork
    /// The precision as reports name it.
    let precision: String
    /// Layers of the language model that this stands for; more than it has if only some are made.
    let layerCount: Int
    private let loaded: LoadedModel?

    var compute: Compute { llava.compute }
    var machine: BenchMachine { BenchMachine(compute, precision: precision) }
    /// A recorder of an answer's attention, as `ask` has for evidence; `vision` are the positions of the vision tokens.
    func makeRecorder(vision: Range<Int>) -> AttentionRecorder {
        AttentionRecorder(
            groups: AttentionSummary.groups(loaded?.checkpoint.evidence, language: llava.language.config),
            tokens: vision, tokensPerFrame: llava.fusion.tokensPerFrame)
    }

    var layers: BenchReport.Layers {
        BenchReport.Layers(measured: llava.language.config.layerCount, of: layerCount)
    }

    /// Loads the model in a folder.
    ///
    /// - Throws: as `LoadedModel`.
    package init(path: String, settings: ModelSettings) throws {
        let loaded = try LoadedModel(path: path, settings: settings)
        guard let work = loaded.cost.frame else {
            throw LongtakeError(code: .unsupportedModel, message: "\(path): not a LLaVA-Mini checkpoint")
        }
        self.loaded = loaded
        (name, llava, preprocessing) = (loaded.name, loaded.llava, loaded.preprocessing)
        frameWork = work
        precision = loaded.precision.name
        layerCount = loaded.llava.language.config.layerCount
    }

    /// Makes random weights of a shape in memory.
    ///
    /// - Parameters:
    ///   - shape: one of `shapes`.
    ///   - layers: layers of the language model to make; nil: 8, or all of a smaller model.
    ///   - weights: nil: as the precision of `settings` has them.
    /// - Throws: `LongtakeError` `bad_request`; `CheckpointError` `not_enough_memory`.
    package convenience init(
        shape: String, part: Part, layers: Int?, weights: Weights? = nil, settings: ModelSettings
    ) throws {
        guard Self.shapes.contains(shape) else {
            throw LongtakeError(
                code: .badRequest, message: "unknown shape \(shape); known: \(Self.shapes.joined(separator: ", "))")
        }
        let kind = shape == "full" ? RandomCheckpoint.Shape.llavaMini8B : .nano
        let all = kind.parts.language.layerCount
        guard (1...all).contains(layers ?? 1) else {
            throw LongtakeError(
                code: .badRequest, message: "\(layers ?? 0) layers; a model of the shape \(shape) has 1 to \(all)")
        }
        var settings = settings
        if settings.precision == nil { settings.precision = shape == "full" ? .bf16 : .f32 }
        try self.init(
            name: shape, parts: kind.parts, part: part, layers: layers ?? min(8, all), weights: weights,
            settings: settings)
    }

    /// Makes random weights of a configuration in memory.
    ///
    /// - Parameter layers: layers of the language model to make, at most all.
    /// - Throws: `LongtakeError` `bad_request`; `CheckpointError` `not_enough_memory`.
    init(
        name: String, parts: (language: LanguageConfig, fusion: FusionConfig, vision: VisionConfig), part: Part,
        layers: Int, weights: Weights? = nil, settings: ModelSettings
    ) throws {
        try settings.validate()
        var (language, fusion, vision) = parts
        let precision = weights != nil ? .int8 : settings.precision ?? .f32
        let type: RandomCheckpoint.DataType = precision == .f32 ? .f32 : .bf16
        let resolved: ResolvedPrecision =
            switch precision {
            case .f32: .f32
            case .bf16: .bf16
            case .int8: .int8(settings, quantizes: true)
            }
        layerCount = language.layerCount
        frameWork = ModelCost.FrameWork(language, fusion, vision, promptHeadTokens: QuestionBenchmark.Text().before)
        language.layerCount = part.hasLanguage ? layers : 0
        if !part.hasLanguage { language.vocabularySize = 8 }
        if part == .language { fusion.prefusionLayerCount = 1 }
        let model = TensorCatalog.llavaMini(language, fusion)
        // The input embeddings are only copied: they share the memory of the output head, which is read.
        let made = model.filter { language.tiedEmbeddings || $0.name != TensorName.tokenEmbeddings }
        let tower = TensorCatalog.vision(vision, selectLayer: fusion.visionSelectLayer).filter { !$0.isOptional }
        let formats = (resolved.quantizes ? (model + tower).filter(\.isQuantizable) : []).compactMap { tensor in
            (weights.map { $0.format(of: tensor.part) } ?? .int8).map { (tensor, tensor.format(in: $0)) }
        }
        let bytes =
            (made + tower).reduce(0) { $0 + Int64($1.count * type.element.size) }
            + formats.reduce(0) { $0 + Int64($1.1.storedBytes($1.0.shape)) }
        try MemoryBudget.read()?.check("random weights of the shape \(name)", needed: bytes)
        let compute = try Compute(
            precision: resolved.activations, backend: settings.backend, threads: settings.threads,
            instructionSet: settings.instructionSet)
        var random = RandomWeights.make(made + tower, type: type, threadPool: compute.threadPool)
        if !language.tiedEmbeddings { random[TensorName.tokenEmbeddings] = random[TensorName.outputEmbeddings] }
        let quantizing = Dictionary(formats.map { ($0.0.name, $0.1) }) { first, _ in first }
        llava = try LlavaMini(
            WeightReader(random, compute: compute, quantizing: quantizing),
            tower: WeightReader(
                random, prefix: TensorName.visionTower, compute: compute, quantizing: quantizing),
            language: language, vision: vision, fusion: fusion, keyValues: settings.keyValues)
        self.name = name
        self.precision = weights.map { resolved.name.replacing("int8", with: $0.rawValue) } ?? resolved.name
        preprocessing = ImagePreprocessing.clip(side: vision.imageSize)
        loaded = nil
    }

    /// Runs `body` with a timer; returns its time and that of each section, those of the language model's layers
    /// multiplied by `scale`.
    func run(scale: Double = 1, _ body: () throws -> Void) rethrows -> BenchRuns.Run {
        let timer = SectionTimer()
        compute.timer = timer
        defer { compute.timer = nil }
        timer.reset()
        let start = ContinuousClock.now
        try body()
        var run = BenchRuns.Run(seconds: (ContinuousClock.now - start).seconds, parts: [:])
        for section in WorkSection.allCases {
            let seconds = timer.seconds(section)
            let isLayer = [.languageNorms, .languageAttention, .languageMLP].contains(section)
            run.parts[section.name] = isLayer ? seconds * scale : seconds
            if isLayer { run.seconds += seconds * (scale - 1) }
        }
        return run
    }

    /// The fastest matrix product in the precision, in operations per second; with int8 weights oneDNN's or ours.
    func measurePeak() -> Double {
        let (rows, width) = (577, 4096)
        guard isQuantized else {
            return max(compute.measurePeak(), compute.measurePeak(rows: rows, inputs: width, outputs: width))
        }
        let ours = try? compute.measureQuantized(.int8, rows: rows, inputs: width, outputs: width)
        let library = compute.measureLibraryInt8(rows: rows, inputs: width, outputs: width)
        return max(ours ?? 0, library ?? 0)
    }

    private var isQuantized: Bool { precision.hasPrefix("int") }

    /// A note about layers that stand for others.
    var layerNotes: [String] {
        let (measured, all) = (llava.language.config.layerCount, layerCount)
        return measured == all ? [] : ["\(measured) of \(all) layers computed, their time scaled to \(all)"]
    }
}

/// Tensors of random values in memory.
private enum RandomWeights {
    private final class Memory {
        let buffer: Buffer<UInt8>
        init(_ count: Int) { buffer = Buffer(count: count) }
    }

    static func make(
        _ tensors: [ExpectedTensor], type: RandomCheckpoint.DataType, threadPool: ThreadPool
    ) -> [String: StoredTensor] {
        let memory = tensors.map { Memory($0.count * type.element.size) }
        threadPool.parallelFor(tensors.count) { range in
            for index in range {
                var values = RandomValues(tensors[index], type: type, seed: 1)
                var target = UnsafeMutableRawPointer(memory[index].buffer.pointer)
                while let bytes = values.next(), let base = bytes.baseAddress {
                    target.copyMemory(from: base, byteCount: bytes.count)
                    target += bytes.count
                }
            }
        }
        var stored: [String: StoredTensor] = [:]
        for (tensor, memory) in zip(tensors, memory) {
            let bytes = UnsafeRawBufferPointer(start: memory.buffer.pointer, count: memory.buffer.count)
            stored[tensor.name] = StoredTensor(
                name: tensor.name, type: type.element, shape: tensor.shape, bytes: bytes, owner: memory)
        }
        return stored
    }
}
