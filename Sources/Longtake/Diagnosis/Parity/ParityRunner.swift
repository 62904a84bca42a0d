internal import Checkpoints
internal import Foundation
internal import Models
package import Tensors

/// Runs golden cases: folders with a configuration, inputs and the reference's outputs.
///
/// A folder has inputs.safetensors, expected.safetensors and, unless it is a checkpoint of one's own, case.json, whose
/// keys tell the kind of case (docs/parity.md).
package enum ParityRunner {
    /// Runs the case in `folder`, in f32 unless the settings name a precision.
    package static func run(folder: String, settings: ModelSettings) throws -> ParityReport {
        let precision: DType
        switch settings.precision {
        case .f32, nil: precision = .f32
        case .bf16: precision = .bf16
        case .int8:
            throw LongtakeError(
                code: .badRequest,
                message: "int8 is not compared with the reference, which has no such products; use f32 or bf16")
        }
        return try run(folder: folder, precision: precision, backend: settings.backend, threads: settings.threads)
    }

    /// Runs the case in `folder`.
    ///
    /// - Throws: `ParityError` for a folder that is not a case; the errors of loading a checkpoint.
    package static func run(folder: String, precision: DType, backend: Backend?, threads: Int) throws -> ParityReport {
        let compute = try Compute(precision: precision, backend: backend, threads: threads)
        let name = URL(fileURLWithPath: folder).lastPathComponent
        var report = ParityReport(name: name, precision: precision.rawValue)
        let description = try CaseDescription(folder: folder)
        let inputs = try GoldenTensors(path: folder + "/inputs.safetensors")
        let expected = try GoldenTensors(path: folder + "/expected.safetensors")
        let tolerance = ParityTolerance(precision: precision)
        if let flows = description.flows {
            try EndToEndParity(
                folder: folder, flows: flows, compute: compute, inputs: inputs, expected: expected,
                tolerance: tolerance, videoRate: description.video_fps, videoIndices: description.video_frame_indices
            ).run(into: &report)
        } else if let towers = description.vision_models {
            let pairs = try FileManager.default.contentsOfDirectory(atPath: folder).sorted().filter {
                FileManager.default.fileExists(atPath: "\(folder)/\($0)/config.json")
            }
            try ClipParity(
                folder: folder, compute: compute, inputs: inputs, expected: expected, tolerance: tolerance
            ).run(towers: towers.mapValues(\.path), pairs: pairs, into: &report)
        } else if let models = description.models {
            try LanguageParity(
                folder: folder, compute: compute, inputs: inputs, expected: expected, tolerance: tolerance
            ).run(models, into: &report)
        } else {
            let checkpoint = try CheckpointFolder(path: folder)
            let model = try loadModel(checkpoint, compute: compute, parts: inputs.partCount)
            if let limit = checkpoint.tokenizerModelMaxLength, inputs.longestPrompt > limit {
                report.notes.append("sequences are cut at tokenizer_model_max_length \(limit), as the reference does")
            }
            try LlavaParity(
                model: model, inputs: inputs, expected: expected, tolerance: tolerance,
                truncation: checkpoint.tokenizerModelMaxLength, stopTest: description.stop_test?.eos_token_id
            ).run(into: &report)
        }
        return report
    }

    /// Loads the model of a checkpoint folder; `parts` overrides its resolution, as the golden inputs do.
    static func loadModel(_ checkpoint: CheckpointFolder, compute: Compute, parts: Int?) throws -> LlavaMini {
        guard let language = checkpoint.language, var fusion = checkpoint.fusion, let vision = checkpoint.vision else {
            throw ParityError(
                message:
                    "\(checkpoint.path) is not a LLaVA-Mini or LLaVA-1.5 checkpoint, and case.json names no other kind")
        }
        guard !checkpoint.isQuantized else {
            throw ParityError(
                message: "\(checkpoint.path) is quantized and differs from the reference by design; compare the folder "
                    + "it was made from")
        }
        try checkpoint.validate()
        if let parts { fusion.resolutionRatio = parts > 1 ? Int(saturating: Double(parts - 1).squareRoot()) : 1 }
        return try LlavaMini(
            WeightReader(checkpoint.weights.tensors, compute: compute),
            tower: WeightReader(checkpoint.towerTensors, prefix: TensorName.visionTower, compute: compute),
            language: language, vision: vision, fusion: fusion)
    }
}

/// The keys of case.json that the runner needs; each kind of case has others.
private struct CaseDescription: Decodable {
    struct Tower: Decodable { let path: String }
    struct StopTest: Decodable { let eos_token_id: [Int] }

    let vision_models: [String: Tower]?
    let models: [String: LanguageParity.Entry]?
    let flows: [String: EndToEndParity.Flow]?
    let stop_test: StopTest?
    let video_fps: Double?
    let video_frame_indices: [Int]?

    init(folder: String) throws {
        let path = folder + "/case.json"
        // An exported case may have no case.json: then the folder is a checkpoint with inputs and expected outputs.
        guard FileManager.default.fileExists(atPath: path) else {
            (vision_models, models, flows) = (nil, nil, nil)
            (stop_test, video_fps, video_frame_indices) = (nil, nil, nil)
            return
        }
        do {
            self = try JSONDecoder().decode(Self.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            throw ParityError(message: "\(path) is not a case description: \(error)")
        }
    }
}

extension GoldenTensors {
    /// Images per frame, from `images` [1, parts, 3, h, w] or [1, T, parts, 3, h, w].
    fileprivate var partCount: Int? {
        guard let shape = shape("images"), shape.count >= 5 else { return nil }
        return shape[shape.count - 4]
    }

    /// Rows of the longest prompt, at least: its IDs and one vision token per frame.
    fileprivate var longestPrompt: Int {
        let frames = shape("images").map { $0.count == 6 ? $0[1] : 1 } ?? 0
        return frames + (tensors.filter { $0.key.hasSuffix("input_ids") }.map(\.value.count).max() ?? 0)
    }
}
