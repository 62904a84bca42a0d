internal import Foundation
internal import Store
internal import Tensors

/// Measures the time to score a frame, on a temporary index of random records.
package struct SearchBenchmark: Sendable, Codable {
    /// Frames in the index.
    package let frames: Int
    /// Dimensions of an embedding, int8.
    package let embedding: Int
    /// Bytes read per frame.
    package let frameBytes: Int
    /// Compute threads.
    package let threads: Int
    /// Name of the kernel table.
    package let kernels: String
    /// Time of each run over all frames; the first may read from the disk.
    package let nanosecondsPerFrame: [Double]
    /// Time of the dot product alone, on one thread.
    package let nanosecondsPerProduct: Double

    private enum CodingKeys: String, CodingKey {
        case frames, embedding, threads, kernels
        case frameBytes = "frame_bytes"
        case nanosecondsPerFrame = "nanoseconds_per_frame"
        case nanosecondsPerProduct = "nanoseconds_per_product"
    }

    /// Creates the index and runs the benchmark.
    ///
    /// - Parameters:
    ///   - tokenBytes: size of the vision token stored beside each embedding.
    ///   - folder: where the index is created; it is removed afterwards.
    /// - Throws: `LongtakeError` `bad_request` for a size out of range.
    package init(
        frames: Int, embedding: Int, tokenBytes: Int, folder: String, settings: ModelSettings, runs: Int
    ) throws {
        try settings.validate()
        guard (1...100_000_000).contains(frames), (1...ByteVector.maxCount).contains(embedding),
            (1...1 << 24).contains(tokenBytes), (1...1000).contains(runs)
        else {
            throw LongtakeError(
                code: .badRequest,
                message: "out of range: use 1 to 100000000 frames, 1 to \(ByteVector.maxCount) values per embedding, 1 "
                    + "to 16777216 bytes per token, 1 to 1000 runs")
        }
        let path = folder + "/longtake-bench-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let cache = try CacheDirectory(path: path)
        var random = Random()
        let manifest = try Self.makeIndex(
            cache, frames: frames, parts: EmbeddingParts(kind: .standard, size: embedding), tokenBytes: tokenBytes,
            &random)
        let compute = try Compute(
            precision: .f32, backend: settings.backend, threads: settings.threads,
            instructionSet: settings.instructionSet)
        let query = try TextEmbedder.unit((0..<embedding).map { _ in Float(random.byte()) })
        let scan = EmbeddingScan(query: query, cache: cache, kernels: compute.kernels, workers: compute.threadPool)
        let clock = ContinuousClock()
        nanosecondsPerFrame = try (0..<runs).map { _ in
            let start = clock.now
            let scored = try scan.run([manifest])
            if let error = scored.first?.error { throw error }
            return ((clock.now - start).seconds * 1e10 / Double(frames)).rounded() / 10
        }
        nanosecondsPerProduct = Self.product(query, compute.kernels)
        self.frames = frames
        self.embedding = embedding
        frameBytes = manifest.layout.frameBytes
        threads = compute.threadPool.threadCount
        kernels = compute.kernels.name
    }

    /// Best of 50 runs over 1000 rows, which fit in the CPU's cache.
    private static func product(_ query: [Float], _ kernels: Kernels) -> Double {
        let (vector, rows) = (ByteVector(query, kernels: kernels), 1000)
        let matrix = [Int8](repeating: 3, count: rows * query.count)
        var out = [Int32](repeating: 0, count: rows)
        let clock = ContinuousClock()
        let times = (0..<50).map { _ in
            let start = clock.now
            kernels.dots(vector, rows: matrix, stride: query.count, count: rows, into: &out)
            return (clock.now - start).seconds
        }
        return ((times.min() ?? 0) * 1e10 / Double(rows)).rounded() / 10
    }

    private struct Random {
        private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

        mutating func byte() -> Int8 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int8(truncatingIfNeeded: state >> 40)
        }
    }

    private static func makeIndex(
        _ cache: CacheDirectory, frames: Int, parts: EmbeddingParts, tokenBytes: Int, _ random: inout Random
    ) throws -> Manifest {
        let layout = try RecordLayout(
            parts: [RecordPart(name: "token", bytes: tokenBytes, format: "u8[\(tokenBytes)]")] + parts.parts)
        let key = IndexKey(
            content: ContentHash.sha256([UInt8]("bench".utf8)), stream: -1, sampling: "grid:1.0", preprocessing: "none",
            model: "random", record: "bench")
        let writer = try IndexWriter(cache: cache, key: key, layout: layout)
        let token = [UInt8](repeating: 7, count: tokenBytes)
        var row = [Int8](repeating: 0, count: parts.size)
        var scale: Float = 1 / 1500
        for frame in 0..<frames {
            for column in row.indices { row[column] = random.byte() }
            try token.withUnsafeBytes { token in
                try row.withUnsafeBytes { row in
                    try withUnsafeBytes(of: &scale) { scale in
                        let entry = FrameEntry(
                            index: UInt32(frame), gridTime: Double(frame), pts: Int64(frame), ptsSeconds: Double(frame))
                        try writer.append(entry, parts: [token, row, scale])
                    }
                }
            }
        }
        var written: Manifest?
        try writer.finish { contents in
            let manifest = Manifest(
                key: key, layout: layout, name: "bench", path: "/bench", fileSize: 0, modified: 0, inode: 0,
                timeBase: [1, 1], contents: contents, created: "2025-01-01T00:00:00Z", modelName: "random")
            written = manifest
            return manifest
        }
        guard let written else { throw LongtakeError(code: .badRequest, message: "no manifest was written") }
        return written
    }
}
