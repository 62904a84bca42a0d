import Foundation
import Media

/// The golden cases that hold pictures.
enum ImageGolden {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures/golden")

    static func bytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: folder.appending(path: path))) }

    static func picture(_ path: String) throws -> RGBImage { try StillImage.decode(bytes(path)) }

    static func json<Value: Decodable>(_ path: String, as type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes(path)))
    }
}

/// The few tensors that these tests compare with, out of a safetensors file.
struct GoldenImageTensors {
    struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let data_offsets: [Int]
    }
    struct Missing: Error { let name: String }

    let entries: [String: Entry]
    let data: [UInt8]

    init(_ path: String) throws {
        let file = try ImageGolden.bytes(path)
        let length = (0..<8).reduce(0) { $0 | Int(file[$1]) << (8 * $1) }
        entries = try JSONDecoder().decode([String: Entry].self, from: Data(file[8..<(8 + length)]))
        data = Array(file[(8 + length)...])
    }

    func shape(_ name: String) throws -> [Int] { try entry(name, "U8").shape }

    func bytes(_ name: String) throws -> [UInt8] { try raw(name, "U8") }

    func floats(_ name: String) throws -> [Float] {
        let bytes = try raw(name, "F32")
        return stride(from: 0, to: bytes.count, by: 4).map { start in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) })
        }
    }

    func integers(_ name: String) throws -> [Int] {
        let bytes = try raw(name, "I64")
        return stride(from: 0, to: bytes.count, by: 8).map { start in
            (0..<8).reduce(0) { $0 | Int(bytes[start + $1]) << (8 * $1) }
        }
    }

    /// The `side` x `side` RGB pictures that a uint8 tensor lines up.
    func pictures(_ name: String) throws -> [RGBImage] {
        let (shape, pixels) = (try shape(name), try bytes(name))
        let (height, width) = (shape[shape.count - 3], shape[shape.count - 2])
        let size = width * height * 3
        return stride(from: 0, to: pixels.count, by: size).map {
            RGBImage(width: width, height: height, pixels: Array(pixels[$0..<($0 + size)]))
        }
    }

    private func entry(_ name: String, _ dtype: String) throws -> Entry {
        guard let entry = entries[name], entry.dtype == dtype else { throw Missing(name: name) }
        return entry
    }

    private func raw(_ name: String, _ dtype: String) throws -> [UInt8] {
        let entry = try entry(name, dtype)
        return Array(data[entry.data_offsets[0]..<entry.data_offsets[1]])
    }
}

/// The parts of case10's case.json that these tests read.
struct PreprocessCase: Decodable {
    struct Image: Decodable {
        struct Result: Decodable {
            let mean: Double
            let std: Double
            /// Channel, row, column, value.
            let samples: [[Double]]
        }
        let file: String
        let size_wh: [Int]
        let crop: Result
        let pad: Result
    }
    struct Video: Decodable {
        let frames: Int
        let height: Int
        let width: Int
        let frame_indices_with_num_frm_eq_total: [Int]
    }
    struct Sampling: Decodable {
        let total_frames: Int
        let fps: Double
        let num_frames: Int?
        let indices: [Int]?
        let first_last_20: [[Int]]?
        let sum: Int?
    }
    struct Desired: Decodable {
        let total: Int
        let desired: Int
        let indices: [Int]
    }
    struct Split: Decodable {
        let w: Int
        let h: Int
        let n: Int
        let block_sizes_wh: [[Int]]
    }
    let images: [String: Image]
    let video0: Video
    let video1: Video
    let video2: Video
    let video3: Video
    let nearest_index_tables: [String: [Int]]
    let frame_indices_1fps: [Sampling]
    let frame_indices_cap180_of_model_worker: Sampling
    let frame_indices_total_desired: [Desired]
    let split_image: [Split]

    static func load() throws -> PreprocessCase { try ImageGolden.json("case10_preprocess/case.json") }
}

extension RGBImage {
    /// Width and height.
    var size: [Int] { [width, height] }
}
