import Checkpoints
import Foundation
import Longtake
import Tensors
import Testing

extension LongtakeTests {
    /// A parity run that cannot fail proves nothing.
    @Suite struct ParityFailureTests {
        private static let name = "case12a_tower_in_checkpoint_ignored"

        @Test func unchangedCopyPasses() throws {
            let folder = try Self.copy()
            #expect(try Self.run(folder).passed)
        }

        /// The greedy ids and one number of an intermediate, each changed alone.
        @Test(arguments: ["greedy_ids", "fused_text_mean", "logits_last", "compressed_per_frame"])
        func changedExpectation(tensor: String) throws {
            let folder = try Self.copy()
            let path = folder.path + "/expected.safetensors"
            let before = try #require(try SafetensorsFile(path: path).tensors[tensor], "the case has no \(tensor)")
            try Self.rewrite(path, tensor: tensor) { bytes in
                if before.type == .f32 {
                    let value = bytes.loadUnaligned(as: Float.self)
                    bytes.storeBytes(of: value + 1e-3, as: Float.self)
                } else {
                    bytes[0] ^= 1
                }
            }
            let report = try Self.run(folder)
            #expect(!report.passed)
            let failed =
                report.tensors.filter { !$0.withinTolerance }.map(\.name)
                + report.greedy.filter { !$0.equal }.map(\.name)
            #expect(failed == [tensor])
        }

        @Test func changedWeight() throws {
            let folder = try Self.copy()
            try Self.rewrite(folder.path + "/model.safetensors", tensor: "model.layers.0.mlp.down_proj.weight") {
                bytes in
                for offset in stride(from: 0, to: min(bytes.count, 4096), by: 2) {
                    // Half of the number's bytes: large and small, but no NaN in either 16 or 32 bits.
                    bytes[offset + 1] ^= 0x08
                }
            }
            #expect(!(try Self.run(folder).passed))
        }

        @Test func nothingComparedIsNoPass() throws {
            let folder = try Self.copy()
            let writer = try SafetensorsWriter(
                path: folder.path + "/expected.safetensors",
                entries: [.init(name: "something_else", type: .f32, shape: [1])])
            try [Float(1)].withUnsafeBytes { try writer.write($0) }
            try writer.finish()
            #expect(!(try Self.run(folder).passed))
        }

        @Test func folderThatIsNoCase() throws {
            let folder = try Folder()
            #expect(throws: (any Error).self) {
                try ParityRunner.run(folder: folder.path, precision: .f32, backend: nil, threads: 1)
            }
            try Data("{\"flows\": 3}".utf8).write(to: URL(filePath: folder.path + "/case.json"))
            #expect(throws: ParityError.self) {
                try ParityRunner.run(folder: folder.path, precision: .f32, backend: nil, threads: 1)
            }
        }

        private static func run(_ folder: Folder) throws -> ParityReport {
            try ParityRunner.run(folder: folder.path, precision: .f32, backend: nil, threads: 2)
        }

        /// A copy of the case whose tower is the golden set's own.
        private static func copy() throws -> Folder {
            let folder = try Folder()
            for file in try FileManager.default.contentsOfDirectory(atPath: "\(golden)/\(name)") {
                try FileManager.default.copyItem(atPath: "\(golden)/\(name)/\(file)", toPath: "\(folder.path)/\(file)")
            }
            let config = URL(filePath: folder.path + "/config.json")
            var values = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
            let tower = try #require(values["mm_vision_tower"] as? String)
            values["mm_vision_tower"] = "\(golden)/\(name)/\(tower)"
            try JSONSerialization.data(withJSONObject: values).write(to: config)
            return folder
        }

        /// Rewrites the file with one tensor's bytes changed.
        private static func rewrite(
            _ path: String, tensor: String, _ change: (UnsafeMutableRawBufferPointer) -> Void
        ) throws {
            let tensors = try SafetensorsFile(path: path).tensors.sorted { $0.key < $1.key }
            #expect(tensors.contains { $0.key == tensor }, "no \(tensor) in \(path)")
            let other = path + ".new"
            let writer = try SafetensorsWriter(
                path: other, entries: tensors.map { .init(name: $0.key, type: $0.value.type, shape: $0.value.shape) })
            for (name, stored) in tensors {
                var bytes = [UInt8](stored.bytes)
                if name == tensor { bytes.withUnsafeMutableBytes(change) }
                try bytes.withUnsafeBytes { try writer.write($0) }
            }
            try writer.finish()
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.moveItem(atPath: other, toPath: path)
        }
    }
}
