import Foundation
import Longtake
import Tensors
import Testing

extension LongtakeTests {
    /// Golden cases whose weights PyTorch saved: Tests/Fixtures/pytorch/write.py.
    @Suite struct PyTorchParityTests {
        private static let files = fixtures.appending(path: "pytorch").path

        /// A copy of a golden case whose `folder` has the weights of the fixture `name` instead of safetensors.
        private static func copy(of golden: String, to target: String) throws {
            try FileManager.default.copyItem(atPath: golden, toPath: target)
        }

        private static func replaceWeights(of folder: String, by name: String) throws {
            try FileManager.default.removeItem(atPath: folder + "/model.safetensors")
            for file in try FileManager.default.contentsOfDirectory(atPath: "\(files)/\(name)") {
                try FileManager.default.copyItem(atPath: "\(files)/\(name)/\(file)", toPath: "\(folder)/\(file)")
            }
        }

        /// Expects the same deviations from the reference, to the bit.
        private static func expectSame(_ case: String, replacing: [String: String], precision: DType) throws {
            let folder = try Folder()
            try FileManager.default.createDirectory(atPath: folder.path + "/cases", withIntermediateDirectories: true)
            let copy = "\(folder.path)/cases/\(`case`)"
            try Self.copy(of: "\(golden)/\(`case`)", to: copy)
            try Self.copy(of: golden + "/towers", to: folder.path + "/cases/towers")
            for (part, name) in replacing { try replaceWeights(of: copy + part, by: name) }
            func run(_ folder: String) throws -> ParityReport {
                try ParityRunner.run(folder: folder, precision: precision, backend: nil, threads: 2)
            }
            let (wanted, found) = (try run("\(golden)/\(`case`)"), try run(copy))
            #expect(found.passed && !found.tensors.isEmpty)
            #expect(found.tensors.map(\.name) == wanted.tensors.map(\.name))
            #expect(found.tensors.map(\.absolute) == wanted.tensors.map(\.absolute))
            #expect(found.tensors.map(\.cosine) == wanted.tensors.map(\.cosine))
            #expect(found.greedy.map(\.found) == wanted.greedy.map(\.found))
        }

        @Test(arguments: [DType.f32, .bf16])
        func `a LLaVA-Mini in shards with views of every kind, and its tower`(precision: DType) throws {
            try Self.expectSame(
                "case13_truncation", replacing: ["": "llava", "/../towers/clip64_28": "tower"], precision: precision)
        }

        @Test func `a CLIP of two towers`() throws {
            try Self.expectSame("case07_clip", replacing: ["/clipmodel_eos_last": "clip"], precision: .f32)
        }

        @Test func `a language model whose output layer shares its embeddings`() throws {
            try Self.expectSame("case08_llm", replacing: ["/tied_tiny_embeddings": "tied"], precision: .f32)
        }
    }
}
