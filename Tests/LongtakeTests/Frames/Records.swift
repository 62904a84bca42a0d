import Checkpoints
import Foundation
import Longtake
import Media
import Models
import Store
import Tensors
import Testing

/// The vision tokens of an index, frame after frame: [frames · C2 · H].
func storedTokens(_ library: Library, _ index: String, width: Int) throws -> [[Float]] {
    let reader = try IndexReader(directory: library.cache.path(indexID: index))
    try #require(reader.layout.parts[0].name == "token")
    let halves = reader.layout.parts[0].format.hasPrefix("bf16")
    return try reader.entries.indices.map { frame in
        var bytes = [UInt8](repeating: 0, count: reader.layout.parts[0].bytes)
        try bytes.withUnsafeMutableBytes { try reader.read(part: 0, frame: frame, into: $0) }
        let values: [Float] = bytes.withUnsafeBytes { raw in
            halves
                ? raw.bindMemory(to: UInt16.self).map { Float(bitPattern: UInt32($0) << 16) }
                : Array(raw.bindMemory(to: Float.self))
        }
        #expect(values.count == width && values.allSatisfy(\.isFinite))
        return values
    }
}

/// The patches of each frame, computed one frame at a time, without an index.
func eachFrame(
    _ model: LoadedModel, _ path: String, framesPerSecond: Double, _ body: (MatrixView) throws -> Void
) throws {
    let llava = model.llava
    let parts = llava.fusion.partCount
    var request = FrameRequest(
        output: .model(model.preprocessing, resolutionRatio: parts > 1 ? llava.fusion.resolutionRatio : 1))
    request.framesPerSecond = framesPerSecond
    let stream = try FrameStream(RecordingFile(path: path), request: request)
    let patches = Buffer<Float>(count: llava.patchRows * llava.vision.hiddenSize)
    let rows = MatrixView(patches.pointer, rows: llava.patchRows, columns: llava.vision.hiddenSize)
    var frame = Frame()
    while try stream.next(into: &frame) {
        llava.patches(frames: 1, into: rows) { image, out in
            frame.rgb.withUnsafeBufferPointer { rgb in
                guard let base = rgb.baseAddress else { return }
                model.compute.patchify(
                    rgb: base + image * rgb.count / parts, grid: llava.vision.gridSize, patch: llava.vision.patchSize,
                    mean: model.preprocessing.mean, std: model.preprocessing.std, into: out)
            }
        }
        try body(rows)
    }
}

/// The vision tokens as the model makes them of one frame at a time.
func freshTokens(_ model: LoadedModel, _ path: String, framesPerSecond: Double = 1) throws -> [[Float]] {
    var tokens: [[Float]] = []
    try eachFrame(model, path, framesPerSecond: framesPerSecond) { patches in
        let token = model.llava.fuse(patches: patches, frames: 1, text: nil)
        tokens.append(Array(UnsafeBufferPointer(start: token.floats, count: token.rows * token.columns)))
    }
    return tokens
}

/// The largest difference relative to the largest magnitude.
func deviation(_ a: [[Float]], _ b: [[Float]]) -> Float {
    guard a.count == b.count, zip(a, b).allSatisfy({ $0.count == $1.count }) else { return .infinity }
    let magnitude = a.joined().map { abs($0) }.max() ?? 0
    return zip(a.joined(), b.joined()).map { abs($0 - $1) }.max().map { $0 / magnitude } ?? .infinity
}
