import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

/// Damaged and hostile headers (fault M02): an error that names file, tensor and limit, never a trap.
@Suite struct SafetensorsHeaderTests {
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
            expectRefusal(of: folder, says: [path] + header.says)
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
            expectRefusal(of: folder, says: [path, "UTF-8", "byte 2"])

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
}
