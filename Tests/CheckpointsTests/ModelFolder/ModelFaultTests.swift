import Checkpoints
import Foundation
import Longtake
import Models
import Tensors
import TestSupport
import Testing
import Tokenizers

/// The text of the error that opening, checking and tokenizing a model folder throws; nil if it is accepted.
func refusal(of folder: String) -> String? {
    do {
        try CheckpointFolder(path: folder, environment: [:]).validate()
        _ = try TokenizerLoader.load(folder: URL(filePath: folder))
        return nil
    } catch { return "\(error)" }
}

/// A nano checkpoint's files, written once for the tests that damage one.
private let nanoFiles = Result<[(name: String, content: Data)], any Error> {
    try withTemporaryFolder { folder in
        try RandomCheckpoint.write(.nano, type: .bf16, to: folder + "/nano", seed: 1)
        return try FileManager.default.subpathsOfDirectory(atPath: folder + "/nano").sorted().compactMap { name in
            (try? Data(contentsOf: URL(filePath: "\(folder)/nano/\(name)"))).map { (name, $0) }
        }
    }
}

/// A nano checkpoint that a test may damage; in shards of at most `shardLimit` bytes.
func withNano(
    _ type: RandomCheckpoint.DataType = .bf16, shardLimit: Int? = nil, _ body: (String) throws -> Void
) throws {
    try withTemporaryFolder { folder in
        let path = folder + "/nano"
        if type == .bf16, shardLimit == nil {
            try FileManager.default.createDirectory(atPath: path + "/vision_tower", withIntermediateDirectories: true)
            for file in try nanoFiles.get() { try file.content.write(to: URL(filePath: "\(path)/\(file.name)")) }
        } else {
            try RandomCheckpoint.write(
                .nano, type: type, to: path, seed: 1, shardLimit: shardLimit ?? 1 << 30, free: nil,
                progress: { _, _ in })
        }
        try body(path)
    }
}

/// Damaged and hostile model folders (faults M01 to M05, M07): an error that names file, tensor and numbers, never a trap.
@Suite("Model faults") struct ModelFaultTests {
    private func size(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    }

    private func expect(
        _ folder: String, says words: [String], sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let text = refusal(of: folder)
        for word in words {
            #expect(text?.contains(word) == true, "\(text ?? "accepted")", sourceLocation: sourceLocation)
        }
    }

    // M01

    @Test("a shard that is cut or too long is refused with both sizes")
    func shardSizes() throws {
        try withNano(shardLimit: 1_000_000) { folder in
            let name = try #require(
                try FileManager.default.contentsOfDirectory(atPath: folder).sorted().first {
                    $0.hasPrefix("model-00002")
                })
            let path = "\(folder)/\(name)"
            let whole = try Data(contentsOf: URL(filePath: path))
            for cut in [whole.count - 1, whole.count / 2, 100, 9, 8, 7, 1, 0] {
                try whole.prefix(cut).write(to: URL(filePath: path))
                expect(folder, says: [path, cut == 1 ? "is 1 byte," : "is \(cut) bytes", "fetch it again"])
            }
            for extra in [1, 4096] {
                try (whole + Data(count: extra)).write(to: URL(filePath: path))
                expect(folder, says: [path, "is \(whole.count + extra) bytes", "header says \(whole.count)"])
            }
            try FileManager.default.removeItem(atPath: path)
            expect(folder, says: [folder, "1 of its shards are missing", name])
            try whole.write(to: URL(filePath: path))
            #expect(refusal(of: folder) == nil)

            // Index and shards of different versions.
            let index = folder + "/model.safetensors.index.json"
            let text = try String(contentsOfFile: index, encoding: .utf8)
            try Data(text.replacing("\"total_size\": ", with: "\"total_size\": 9").utf8).write(to: URL(filePath: index))
            // Some writers count otherwise: the shards' own headers are what is checked.
            #expect(refusal(of: folder) == nil)
            #expect(try CheckpointFolder(path: folder).notes.contains { $0.contains("says the tensors are 9") })
            try Data(text.replacing("00002-of", with: "00001-of").utf8).write(to: URL(filePath: index))
            expect(folder, says: [index, "says tensor", "00001-of", "does not have it"])
        }
    }

    // M02

    struct Header: Sendable, CustomTestStringConvertible {
        var json: String
        var data = 8
        var length: UInt64?
        let says: [String]
        var testDescription: String { says.joined(separator: " … ") }
    }

    private static func entry(_ name: String, _ type: String, _ shape: String, _ begin: Int, _ end: Int) -> String {
        "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
    }
    private static let pair = entry("first", "F32", "[1]", 0, 4) + ","

    static let headers: [Header] = [
        Header(json: "{}", length: 1 << 63, says: ["9223372036854775808", "limit is 100000000"]),
        Header(json: "{}", length: .max, says: ["18446744073709551615", "limit is 100000000"]),
        Header(json: "{}", length: 100_000_001, says: ["100000001", "limit is 100000000"]),
        Header(json: "{}", length: 5000, says: ["is 18 bytes", "5000"]),
        Header(json: "", data: 0, length: 0, says: ["JSON object"]),
        Header(json: "null", says: ["JSON object"]),
        Header(json: " {}", says: ["JSON object"]),
        Header(json: "{\"a\":}", says: ["not valid JSON at byte 5"]),
        Header(json: "{\"a\":" + String(repeating: "[", count: 90_000), says: ["nested deeper than 8"]),
        Header(
            json: "{\(entry("dup", "F32", "[1]", 0, 4)),\(entry("dup", "F32", "[1]", 4, 8))}",
            says: ["\"dup\"", "twice"]),
        Header(
            json: "{\(pair)\(entry("second", "F32", "[1]", 2, 6))}",
            says: ["\"second\"", "overlaps", "begins at 2, expected 4"]),
        Header(
            json: "{\(pair)\(entry("second", "F32", "[1]", 8, 12))}",
            says: ["\"second\"", "hole", "begins at 8, expected 4"]),
        Header(
            json: "{\(entry("second", "F32", "[1]", 4, 8))}", says: ["\"second\"", "hole", "begins at 4, expected 0"]),
        Header(json: "{\(entry("wide", "F32", "[4294967296,4294967296]", 0, 8))}", says: ["\"wide\"", "64-bit"]),
        Header(json: "{\(entry("wide", "F64", "[9223372036854775807]", 0, 8))}", says: ["\"wide\"", "64-bit"]),
        Header(json: "{\(entry("wide", "U8", "[4294967296,4294967296,0]", 0, 0))}", says: ["\"wide\"", "64-bit"]),
        Header(json: "{\(entry("wide", "U8", "[9223372036854775808]", 0, 8))}", says: ["\"wide\"", "whole numbers"]),
        Header(json: "{\(entry("neg", "F32", "[-2]", 0, 8))}", says: ["\"neg\"", "whole numbers >= 0"]),
        Header(json: "{\(entry("frac", "F32", "[2.0]", 0, 8))}", says: ["\"frac\"", "whole numbers >= 0"]),
        Header(
            json: "{\(entry("deep", "U8", "[1,1,1,1,1,1,1,1,8]", 0, 8))}",
            says: ["\"deep\"", "9 dimensions", "limit is 8"]),
        Header(json: "{\(entry("kind", "F4", "[2]", 0, 8))}", says: ["\"kind\"", "unknown dtype \"F4\""]),
        Header(json: "{\(entry("kind", "F64", "[2]", 0, 8))}", says: ["\"kind\"", "has 8 bytes", "need 16"]),
        Header(json: "{\(entry("back", "F32", "[2]", 8, 0))}", says: ["\"back\"", "begin <= end"]),
        Header(json: "{\(entry("back", "F32", "[2]", -8, 0))}", says: ["\"back\"", "begin <= end"]),
        Header(
            json: "{\(entry("far", "U8", "[4611686018427387904]", 0, 1 << 62))}", says: ["header says 46116860184273"]),
        Header(json: "{\(entry("far", "U8", "[\(Int.max)]", 0, .max))}", says: ["header says \(Int.max)"]),
        Header(json: "{\(entry("short", "F32", "[1]", 0, 4))}", says: ["header says", "trailing bytes"]),
        Header(json: "{\"__metadata__\":{\"a\":1}}", data: 0, says: ["__metadata__"]),
        Header(json: "{\"bare\":[]}", data: 0, says: ["\"bare\"", "not an object"]),
        Header(
            json: "{\(entry(String(repeating: "n", count: 1025), "U8", "[8]", 0, 8))}",
            says: ["1025 bytes", "limit is 1024"]),
    ]

    @Test("a damaged header is refused, by file and by tensor", arguments: headers)
    func header(_ header: Header) throws {
        try withNano { folder in
            let path = folder + "/model.safetensors"
            let json = Data(header.json.utf8)
            let length = withUnsafeBytes(of: (header.length ?? UInt64(json.count)).littleEndian) { Data($0) }
            try (length + json + Data(count: header.data)).write(to: URL(filePath: path))
            expect(folder, says: [path] + header.says)
        }
    }

    @Test("a header that is not UTF-8 is refused, and no changed byte traps")
    func headerBytes() throws {
        try withNano { folder in
            let path = folder + "/model.safetensors"
            let json = "{" + Self.pair + Self.entry("second", "BF16", "[2]", 4, 8) + "}"
            var file = withUnsafeBytes(of: UInt64(json.utf8.count).littleEndian) { Data($0) }
            file += Data(json.utf8) + Data(count: 8)
            var bad = file
            bad[11] = 0xff
            try bad.write(to: URL(filePath: path))
            expect(folder, says: [path, "UTF-8", "byte 2"])

            var random = SeededNumbers(state: 5)
            var refused = 0
            for _ in 0..<2000 {
                var changed = file
                let place = Int.random(in: 0..<8 + json.utf8.count, using: &random)
                changed[place] = UInt8.random(in: 0...255, using: &random)
                try changed.write(to: URL(filePath: path))
                do { _ = try SafetensorsFile(path: path) } catch let error as WeightsError {
                    refused += 1
                    #expect(error.message.contains(path))
                }
            }
            #expect(refused > 1000)
        }
    }

    // M03

    @Test("tensors that the configuration does not call for, or that it misses, are listed up to ten")
    func tensors() throws {
        try withNano(.f32) { folder in
            let config = try Data(contentsOf: URL(filePath: folder + "/config.json"))
            func with(_ key: String, _ value: Int, says words: [String]) throws {
                try editConfig(of: folder) { $0[key] = value }
                expect(folder, says: [folder] + words)
                try config.write(to: URL(filePath: folder + "/config.json"))
            }
            try with(
                "num_hidden_layers", 8,
                says: [
                    "36 tensors are missing: model.layers.4.self_attn.q_proj.weight, ", "and 26 more",
                ])
            try with(
                "num_hidden_layers", 2,
                says: [
                    "18 tensors are not in its configuration: model.layers.2.input_layernorm.weight, ", "and 8 more",
                ])
            try with(
                "intermediate_size", 500,
                says: [
                    "18 tensors have a wrong shape: ",
                    "model.layers.0.mlp.gate_proj.weight is [512, 192], the configuration says [500, 192]",
                    "and 8 more",
                ])
            try with(
                "vocab_size", 128_256,
                says: [
                    "2 tensors have a wrong shape", "model.embed_tokens.weight is [856, 192]", "[128256, 192]",
                ])
            // The header says another type of the same size.
            let path = folder + "/model.safetensors"
            var file = try Data(contentsOf: URL(filePath: path))
            let norm = try #require(file.range(of: Data("\"model.norm.weight\":{\"dtype\":\"F32".utf8)))
            file.replaceSubrange(norm.upperBound - 3..<norm.upperBound, with: Data("I32".utf8))
            try file.write(to: URL(filePath: path))
            expect(folder, says: [folder, "1 tensor is not stored as F32, F16 or BF16: model.norm.weight is I32"])
        }
    }

    @Test("a tower that is damaged is refused by its own folder")
    func tower() throws {
        try withNano { folder in
            let tower = folder + "/vision_tower"
            try editConfig(of: tower) { $0["num_hidden_layers"] = 5 }
            // The fifth layer comes after hidden state -2: still optional. The sixth makes it needed.
            #expect(refusal(of: folder) == nil)
            try editConfig(of: tower) { $0["num_hidden_layers"] = 6 }
            expect(folder, says: [tower, "16 tensors are missing: vision_model.encoder.layers.4.", "and 6 more"])
            try FileManager.default.removeItem(atPath: tower + "/config.json")
            expect(folder, says: [tower + "/config.json"])
            try FileManager.default.removeItem(atPath: tower)
            expect(folder, says: ["\"vision_tower\" is not on this machine", tower])
        }
    }

    // M04

    @Test("NaN and infinities are found by name, in the model and in its tower")
    func nonFinite() throws {
        try withNano { folder in
            for (file, bits) in [("model.safetensors", 0x7fc0), ("vision_tower/model.safetensors", 0xff80)] {
                let handle = try FileHandle(forUpdating: URL(filePath: "\(folder)/\(file)"))
                try handle.seek(toOffset: handle.seekToEnd() - 2)
                try handle.write(contentsOf: [UInt8(bits & 0xff), UInt8(bits >> 8)])
                try handle.close()
            }
            let checkpoint = try CheckpointFolder(path: folder, environment: [:])
            var last: (Int64, Int64) = (0, 0)
            let found = try checkpoint.scanNonFinite { last = ($0, $1) }
            #expect(found.map(\.name) == ["model.compressor.ln_kv.bias", "vision_model.post_layernorm.bias"])
            #expect(found.map(\.count) == [NonFiniteCount(nan: 1), NonFiniteCount(infinite: 1)])
            #expect(last.0 == last.1 && last.1 == RandomCheckpoint.plannedBytes(.nano, type: .bf16))
        }
    }
}
