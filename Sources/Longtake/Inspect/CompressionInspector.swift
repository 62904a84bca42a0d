internal import Checkpoints
internal import Foundation
internal import Glibc
package import Media
internal import Models
internal import Tensors

/// Computes where the compressor looks in the frames of a recording, or in a still image.
package struct CompressionInspector {
    /// Which frames of a recording.
    package enum Choice: Sendable, Equatable {
        /// The frame shown at this time in seconds on the file's timeline.
        case at(Double)
        /// A frame every so many seconds.
        case every(Double)
        /// At most `defaultCount` frames, evenly spread.
        case spread
    }

    /// Frames that are shown if nothing else is said.
    package static let defaultCount = 24
    /// Most frames of one inspection: each has two files, and their weights are kept until the end.
    package static let maxFrames = 10_000

    /// A frame as the model sees it, and where the compressor looks.
    package struct Inspected {
        /// The square picture; at high resolution all crops together.
        package let picture: RGBImage
        /// The attention.
        package let map: CompressionMap
    }

    /// What was read.
    package struct Summary: Sendable {
        /// Frames inspected.
        package internal(set) var frames = 0
        /// Seconds from one frame to the next; 0 for one frame.
        package internal(set) var interval = 0.0
        /// True if the frames do not cover the whole recording.
        package internal(set) var isPartial = false
        /// What is unusual about the recording or the model, one sentence each.
        package internal(set) var notes: [String] = []
    }

    private let loaded: LoadedModel
    private let encoder: FrameEncoder
    private let options: IndexOptions
    private let cancellation: Cancellation

    /// Loads the parts of the model that compress frames.
    ///
    /// - Throws: the errors of loading a checkpoint; `LongtakeError` `unsupported_model` for LLaVA-v1.5, which has no
    ///   compressor.
    package init(
        path: String, settings: ModelSettings, options: IndexOptions = IndexOptions(),
        cancellation: Cancellation = Cancellation()
    ) throws {
        guard try CheckpointFolder(path: path).fusion?.hasCompressor != false else {
            throw LongtakeError(
                code: .unsupportedModel,
                message: "\(path): a LLaVA-1.5 checkpoint has no compressor to inspect; give a LLaVA-Mini one")
        }
        loaded = try LoadedModel(path: path, settings: settings, forFrames: true)
        encoder = FrameEncoder(loaded)
        self.options = options
        self.cancellation = cancellation
    }

    /// Inspects frames of a recording, in order, or one still image (PNG, JPEG, WebP).
    ///
    /// - Parameter each: gets each frame, and the seconds from one to the next; 0 for one frame.
    /// - Throws: `Failure` that names the file, also for errors of `each`; `LongtakeError` `bad_request` for a time
    ///   without a frame.
    package func inspect(
        _ input: InputPath, _ choice: Choice, each: (Inspected, _ interval: Double) throws -> Void
    ) throws -> Summary {
        do {
            if input.isImage { return try inspect(image: input, each) }
            return try inspect(recording: input, choice, each)
        } catch {
            throw Failure(error, subject: input.description)
        }
    }

    private func inspect(image path: InputPath, _ each: (Inspected, _ interval: Double) throws -> Void) throws
        -> Summary
    {
        let image = try FrameStream.image(RecordingFile(image: path.bytes))
        let preprocessing = loaded.preprocessing
        var frame = Frame()
        frame.rgb = preprocessing.parts(image, ratio: ratio).flatMap { preprocessing.square($0).pixels }
        try encode([frame], clock: RecordingClock()) { try each($0, 0) }
        return Summary(frames: 1, notes: loaded.notes)
    }

    private var ratio: Int {
        let fusion = loaded.llava.fusion
        return fusion.partCount > 1 ? fusion.resolutionRatio : 1
    }

    private func inspect(
        recording path: InputPath, _ choice: Choice, _ each: (Inspected, _ interval: Double) throws -> Void
    ) throws -> Summary {
        try options.validate()
        let file = try path.open(cancellation: cancellation)
        var request = options.request(.model(loaded.preprocessing, resolutionRatio: ratio))
        let info = try FrameStream.probe(file, request: request) { [cancellation] in cancellation.isCancelled }.info
        let clock = RecordingClock(start: info.fileStart ?? 0)
        var summary = Summary(notes: loaded.notes)
        switch choice {
        case .at(let time):
            let index = (clock.fromFirstFrame(time) * request.framesPerSecond).rounded(.down)
            guard index >= 0, index < Double(options.maxFrames) else { throw Self.noFrame(at: time, info, clock) }
            request.firstIndex = Int(saturating: index)
            request.maxFrames = request.firstIndex + 1
        case .every(let seconds):
            request.framesPerSecond = 1 / seconds
            request.maxFrames = min(request.maxFrames, Self.maxFrames)
            summary.interval = seconds
        case .spread:
            if let duration = info.duration, duration > Double(Self.defaultCount) / request.framesPerSecond {
                // Rounded down, so that rounding adds no frame.
                request.framesPerSecond = (Double(Self.defaultCount) / duration * 1e6).rounded(.down) / 1e6
                request.framesPerSecond = max(request.framesPerSecond, 1e-6)
            }
            request.maxFrames = min(request.maxFrames, Self.defaultCount)
            summary.interval = 1 / request.framesPerSecond
        }
        let result = try FrameBatches.forEach(of: file, request, size: 1, cancellation) { frames, _ in
            try encode(frames, clock: clock) { try each($0, summary.interval) }
            summary.frames += frames.count
        }
        if case .at(let time) = choice, summary.frames == 0 { throw Self.noFrame(at: time, info, clock) }
        var isCutAsAsked = false
        // Except with an interval, not taking all frames is what was asked for.
        if case .every = choice {} else { isCutAsAsked = result.notes.contains { $0.code == "max_frames" } }
        summary.notes += result.notes.filter { !isCutAsAsked || $0.code != "max_frames" }
            .map { "\($0.code): \($0.message)" }
        summary.isPartial = result.status == .partial && !isCutAsAsked
        return summary
    }

    private static func noFrame(at time: Double, _ info: RecordingInfo, _ clock: RecordingClock) -> LongtakeError {
        let (first, end) = (clock.fileTime(0), info.duration.map { clock.fileTime($0) })
        let range = end.map { "to \(TimeText.number($0)) s" } ?? "on"
        return LongtakeError(
            code: .badRequest,
            message:
                "no frame at \(TimeText.number(time)) s: the recording has frames from \(TimeText.number(first)) s "
                + range)
    }

    private func encode(
        _ frames: ArraySlice<Frame>, clock: RecordingClock, _ each: (Inspected) throws -> Void
    ) throws {
        let (model, side) = (loaded.llava, loaded.preprocessing.side)
        for frame in frames {
            try cancellation.check()
            let values = model.compressorAttention(try encoder.patches(of: frame))
            let tokens = model.fusion.tokensPerFrame
            let keys = values.count / tokens
            let map = CompressionMap(
                frame: frame.index, time: clock.fileTime(frame.gridTime),
                grid: Int(saturating: Double(keys).squareRoot()),
                weights: (0..<tokens).map { Array(values[$0 * keys..<($0 + 1) * keys]) })
            try each(Inspected(picture: picture(frame, side: side), map: map))
        }
    }

    /// The picture that the keys cover: the frame, or at high resolution its crops side by side.
    private func picture(_ frame: Frame, side: Int) -> RGBImage {
        let bytes = side * side * 3
        guard ratio > 1 else {
            return RGBImage(width: side, height: side, pixels: Array(frame.rgb.prefix(bytes)))
        }
        let row = side * 3
        var pixels: [UInt8] = []
        pixels.reserveCapacity(ratio * ratio * bytes)
        for y in 0..<ratio * side {
            for column in 0..<ratio {
                let start = (y / side * ratio + column) * bytes + y % side * row
                pixels += frame.rgb[start..<start + row]
            }
        }
        return RGBImage(width: ratio * side, height: ratio * side, pixels: pixels)
    }
}
