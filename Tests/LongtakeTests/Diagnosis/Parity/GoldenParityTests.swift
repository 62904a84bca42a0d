import Checkpoints
import Foundation
import Longtake
import Tensors
import Testing

extension LongtakeTests {
    /// Every case of the golden set that holds a model, against what the reference computed.
    @Suite struct GoldenParityTests {
        static let cases = [
            "case01_image_c1_llama31", "case02_image_c2_vicuna", "case03_video_c1_llama31", "case04a_hires_c1",
            "case04b_hires_c2", "case05_video_hires_c1", "case06_prompt_quirks", "case07_clip", "case08_llm",
            "case11_end_to_end", "case12a_tower_in_checkpoint_ignored", "case12b_tower_in_checkpoint_used",
            "case13_truncation",
        ]

        /// Tokenizers and preprocessing have tests of their own.
        @Test func noCaseIsForgotten() throws {
            let folders = try FileManager.default.contentsOfDirectory(atPath: golden).filter { $0.hasPrefix("case") }
            let elsewhere = folders.filter { $0.hasPrefix("case09") || $0.hasPrefix("case10") }
            #expect(Set(folders).subtracting(elsewhere) == Set(Self.cases))
        }

        @Test(arguments: cases, Backend.allCases.filter { $0 != .oneDNN || Backend.hasOneDNN })
        func f32(name: String, backend: Backend) throws {
            let report = try ParityRunner.run(
                folder: "\(golden)/\(name)", precision: .f32, backend: backend, threads: 2)
            print("parity \(name) \(backend.rawValue) f32: \(report.summary)")
            for tensor in report.tensors {
                #expect(tensor.withinTolerance, "\(tensor)")
                #expect(tensor.tolerance <= (tensor.name.contains("logits") ? 2e-4 : 1e-4), "\(tensor.name)")
                #expect(tensor.absolute <= tensor.tolerance, "\(tensor)")
            }
            #expect(!report.tensors.isEmpty)
            #expect(!report.greedy.isEmpty || name == "case07_clip")
            for greedy in report.greedy {
                #expect(greedy.equal && greedy.required, "\(greedy)")
                #expect(!greedy.expected.isEmpty)
            }
            #expect(report.passed)
        }

        /// About the reference only (how near its two best logits are, what scaling changes), or states of padded text
        /// rows, which nothing here computes. The tables of `full_` configurations have a test of their own.
        static let notComputed = [
            "greedy_margins", "scaled_minus_unscaled_check", "text_features_projected_no_attention_mask",
            "text_last_hidden_state_after_final_layer_norm",
        ]

        /// A tensor that nobody compares proves nothing.
        @Test(arguments: cases) func everyExpectedTensorIsCompared(name: String) throws {
            let report = try ParityRunner.run(folder: "\(golden)/\(name)", precision: .f32, backend: nil, threads: 2)
            let compared = Set(report.tensors.map(\.name) + report.greedy.map(\.name))
            let expected = try SafetensorsFile(path: "\(golden)/\(name)/expected.safetensors").tensors.keys
            let left = Set(expected).subtracting(compared).filter { name in
                !Self.notComputed.contains { name.hasSuffix($0) } && !name.hasPrefix("full_")
            }
            #expect(left.sorted() == [])
        }

        /// The direction of the vision tokens decides; greedy ids may differ where two logits nearly tie.
        @Test(.enabled(if: Backend.hasOneDNN), arguments: cases) func bf16(name: String) throws {
            let report = try ParityRunner.run(
                folder: "\(golden)/\(name)", precision: .bf16, backend: .oneDNN, threads: 2)
            print("parity \(name) onednn bf16: \(report.summary)")
            let visionTokens = report.tensors.filter { $0.name.hasSuffix("compressed_per_frame") }
            #expect(!visionTokens.isEmpty || ["case07_clip", "case08_llm"].contains(name))
            for tensor in visionTokens { #expect(tensor.cosine >= 0.999, "\(tensor)") }
            #expect(report.tensors.allSatisfy { $0.absolute.isFinite })
            #expect(report.passed)
        }

        @Test(arguments: ["case03_video_c1_llama31", "case08_llm", "case11_end_to_end"])
        func oneThread(name: String) throws {
            let report = try ParityRunner.run(folder: "\(golden)/\(name)", precision: .f32, backend: nil, threads: 1)
            #expect(report.passed, "\(report.summary)")
            let two = try ParityRunner.run(folder: "\(golden)/\(name)", precision: .f32, backend: nil, threads: 2)
            #expect(report.greedy.map(\.found) == two.greedy.map(\.found))
        }
    }
}

extension ParityReport {
    /// The worst of each kind of tensor, and what failed.
    var summary: String {
        func worst(_ tensors: [TensorDeviation]) -> String {
            guard let worst = tensors.max(by: { $0.absolute < $1.absolute }) else { return "none" }
            return "\(worst.absolute) (\(worst.name))"
        }
        let logits = tensors.filter { $0.name.contains("logits") }
        let others = tensors.filter { !$0.name.contains("logits") }
        let cosine = tensors.filter { $0.name.hasSuffix("compressed_per_frame") }.map(\.cosine).min()
        let failed = tensors.filter { !$0.withinTolerance }.map(\.name) + greedy.filter { !$0.equal }.map(\.name)
        return "\(tensors.count) tensors, worst \(worst(others)); logits \(worst(logits)); cosine "
            + "\(cosine.map { "\($0)" } ?? "-"); \(greedy.count) id lists; failed \(failed)"
    }
}
