internal import Checkpoints
internal import Media
internal import Models
internal import Store
internal import Tensors

/// Measures the frame path: from pixels, or from a recording, to frame records.
package struct FramePathBenchmark {
    private let model: BenchModel
    private let encoder: FrameEncoder
    private let buffers: RecordBuffers
    private let cancellation: Cancellation

    /// Creates the benchmark of a model.
    package init(_ model: BenchModel, cancellation: Cancellation) throws {
        self.model = model
        self.cancellation = cancellation
        encoder = FrameEncoder(model.llava, model.preprocessing)
        let codec = RecordCodec(kind: .standard, model: model.llava)
        buffers = RecordBuffers(codec: codec, layout: try codec.layout(), compute: model.compute)
    }

    /// Runs the benchmark.
    ///
    /// - Parameters:
    ///   - recording: the recording to take frames from; nil: random pixels in memory.
    ///   - frames: frames per run; nil: one batch, two of a recording.
    /// - Throws: `MediaError`; `LongtakeError` `interrupted` or `bad_request`.
    package func run(recording: InputPath?, options: IndexOptions, frames: Int?, runs: Int) throws -> BenchReport {
        let wanted = frames ?? encoder.batchSize * (recording == nil ? 1 : 2)
        guard (1...100_000).contains(wanted) else {
            throw LongtakeError(code: .badRequest, message: "\(wanted) frames; use 1 to 100000")
        }
        var peak = model.measurePeak()
        var count = wanted
        let measured: BenchRuns
        if let recording {
            measured = try BenchRuns(runs, cancellation) {
                let (run, decoded) = try decode(recording, options, frames: wanted)
                count = decoded
                return run
            }
        } else {
            let pixels = model.randomFrames(wanted)
            measured = try BenchRuns(runs, cancellation) {
                try model.run {
                    for first in stride(from: 0, to: wanted, by: encoder.batchSize) {
                        try encode(pixels[first..<min(wanted, first + encoder.batchSize)])
                    }
                }
            }
        }
        peak = max(peak, model.measurePeak())
        var report = BenchReport(
            "frame-path", subject: model.name, unit: "frame", count: count, runs: measured, machine: model.machine)
        report.set(operations: model.frameWork.indexTotal, peak: peak)
        report.notes = [recording.map { "frames of \($0.description), decoding included" } ?? "frames in memory"]
        return report
    }

    private func encode(_ batch: ArraySlice<Frame>) throws {
        // Every frame is computed, even one that equals the one before it.
        try encoder.encode(batch, isNew: { _ in true }) { _ = buffers.encode($1) }
    }

    private func decode(_ path: InputPath, _ options: IndexOptions, frames: Int) throws -> (BenchRuns.Run, Int) {
        let file = try path.open(cancellation: cancellation)
        let fusion = model.llava.fusion
        var request = options.request(
            .model(model.preprocessing, resolutionRatio: fusion.partCount > 1 ? fusion.resolutionRatio : 1))
        request.maxFrames = frames
        var count = 0
        let run = try model.run {
            // The start of the decode worker counts as waiting for its frames.
            let queue = try model.compute.timed(.waiting) {
                let stream = try FrameStream(file, request: request)
                let queue = FrameQueue(stream, capacity: 2 * encoder.batchSize, cancellation: cancellation)
                try queue.start()
                return queue
            }
            defer { model.compute.timed(.waiting) { queue.stop() } }
            var batch = (0..<encoder.batchSize).map { _ in Frame() }
            while true {
                let taken = try model.compute.timed(.waiting) { try queue.take(into: &batch) }
                guard taken > 0 else { break }
                try encode(batch[..<taken])
                count += taken
            }
        }
        return (run, max(count, 1))
    }
}
