import Foundation
import Glibc
import Synchronization

/// The frames of a recording, decoded by a separate worker process whose messages the parent does not trust.
///
/// Call `next` from one thread; `cancel` may be called from any thread.
public final class FrameStream: Sendable {
    private struct State {
        var worker: WorkerProcess?
        var result = DecodeResult()
        var lastIndex = -1
        var ended = false
        var delivered = 0
        /// Grid time of the last frame.
        var lastTime = -1.0
        var cancelled = false
        /// Bytes of the file read, as reported by the worker.
        var read: Int64 = 0
    }

    private let state = Mutex(State())
    private let request: FrameRequest
    private let budget: CPUBudget

    /// Starts the worker, which decodes until the pipe is full.
    ///
    /// `isCancelled` is polled while waiting for the worker; once it returns true, `next` throws.
    public init(
        _ file: RecordingFile, request: FrameRequest, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws {
        self.request = request
        budget = CPUBudget(request, fileSize: file.size)
        let worker = try WorkerProcess.start(file: file.descriptor, request: request, isCancelled: isCancelled)
        worker.allow(cpuSeconds: budget.allowed(frames: 0, read: 0, info: RecordingInfo()), covered: 0)
        state.withLock { $0.worker = worker }
    }

    deinit { cancel() }

    /// The result so far; complete once `next` has returned false.
    public var result: DecodeResult { state.withLock { $0.result } }

    /// Kills the worker immediately; `next` then returns false.
    public func cancel() {
        let worker = state.withLock { state -> WorkerProcess? in
            state.cancelled = true
            return state.worker
        }
        worker?.kill()
    }

    /// Reads the next frame into `frame`, reusing its buffer; returns false at the end.
    ///
    /// - Throws: `MediaError` if no frame at all was delivered. After the first frame, an error ends the stream instead
    ///   and is reported in `result`: status partial, with a note.
    public func next(into frame: inout Frame) throws -> Bool {
        guard let worker = state.withLock({ $0.ended ? nil : $0.worker }) else { return false }
        do {
            while true {
                guard let message = try worker.readHeader(timeout: request.watchdog) else {
                    let death = worker.died()
                    if state.withLock({ $0.cancelled }) { return finish() }
                    throw death
                }
                allow(message, worker)
                switch message.kind {
                case .heartbeat: continue
                case .frame:
                    try accept(message, from: worker, into: &frame)
                    return true
                case .info:
                    let info = try worker.readJSON(RecordingInfo.self, message, timeout: request.watchdog)
                    state.withLock { $0.result.info = info.sanitized }
                case .end:
                    let result = try worker.readJSON(DecodeResult.self, message, timeout: request.watchdog)
                    state.withLock { $0.result = result.sanitized }
                    _ = worker.wait()
                    return finish()
                case .sandbox, .clip: throw MediaError.worker("an unexpected message")
                case .failure:
                    let failure = try worker.readJSON(WorkerFailure.self, message, timeout: request.watchdog)
                    _ = worker.wait()
                    throw MediaError(code: failure.code, message: failure.message)
                }
            }
        } catch let error as MediaError {
            worker.kill()
            _ = worker.wait()
            let delivered = state.withLock { state -> Int in
                state.ended = true
                return state.delivered
            }
            if state.withLock({ $0.cancelled }) { return false }
            guard delivered > 0 else { throw error }
            state.withLock { state in
                state.result.status = .partial
                state.result.note(error.code.rawValue, error.message)
                state.result.counters.framesSampled = state.lastIndex + 1
                state.result.coveredSeconds =
                    request.sampling == .keyframes ? state.lastTime : frameSeconds(state.lastIndex + 1)
            }
            return false
        }
    }

    private func frameSeconds(_ index: Int) -> Double { Double(index) / request.framesPerSecond }

    /// Raises the worker's CPU budget by what it has read and sent.
    private func allow(_ message: WorkerMessage, _ worker: WorkerProcess) {
        let (seconds, covered) = state.withLock { state in
            state.read = max(state.read, message.highWater)
            let frames = state.lastIndex + 1
            return (budget.allowed(frames: frames, read: state.read, info: state.result.info), frameSeconds(frames))
        }
        worker.allow(cpuSeconds: seconds, covered: covered)
    }

    private func finish() -> Bool {
        state.withLock { $0.ended = true }
        return false
    }

    private func accept(_ message: WorkerMessage, from worker: WorkerProcess, into frame: inout Frame) throws {
        let last = state.withLock { $0.lastIndex }
        guard isNext(message, after: last), message.index < request.maxFrames, message.gridTime.isFinite,
            message.ptsSeconds.isFinite,
            isGridTime(message, after: state.withLock { $0.lastTime }), message.parts > 0, message.parts <= 64,
            message.width > 0, message.height > 0,
            message.width <= request.maxPixels / message.height,
            message.payload == message.width * message.height * 3 * message.parts
        else { throw MediaError.worker("an unexpected frame") }
        if case .model(let preprocessing, let ratio) = request.output {
            let parts = ratio > 1 ? ratio * ratio + 1 : 1
            guard message.width == preprocessing.side, message.height == preprocessing.side, message.parts == parts
            else {
                throw MediaError.worker("a frame of the wrong size")
            }
        }
        if request.output == .native || request.output == .image {
            guard message.parts == 1 else { throw MediaError.worker("more images than requested") }
        }
        frame.index = message.index
        frame.gridTime = message.gridTime
        frame.pts = message.pts
        frame.ptsSeconds = message.ptsSeconds
        frame.width = message.width
        frame.height = message.height
        if frame.rgb.count != message.payload { frame.rgb = [UInt8](repeating: 0, count: message.payload) }
        try frame.rgb.withUnsafeMutableBytes { try worker.read(into: $0, timeout: request.watchdog) }
        state.withLock {
            $0.lastIndex = message.index
            $0.delivered += 1
            $0.lastTime = message.gridTime
        }
    }

    private func isNext(_ message: WorkerMessage, after last: Int) -> Bool {
        guard let stills = request.stills else { return message.index == max(last + 1, request.firstIndex) }
        return message.index > last
            && stills.contains(FrameRequest.Still(index: message.index, pts: message.pts))
    }

    /// The grid time must follow from the index, or be the key frame's own; the worker does not choose it.
    private func isGridTime(_ message: WorkerMessage, after last: Double) -> Bool {
        if request.sampling == .keyframes, request.stills == nil {
            return message.gridTime == message.ptsSeconds && message.gridTime > last
        }
        return message.gridTime == Double(message.index) / request.framesPerSecond
    }

    /// Decodes a still image (PNG, JPEG or WebP) in the same sandboxed worker process as recordings.
    ///
    /// - Throws: `MediaError`; its code is `image` if the file is not an image or is damaged.
    public static func image(_ file: RecordingFile) throws -> RGBImage {
        let stream = try FrameStream(file, request: FrameRequest(output: .image))
        defer { stream.cancel() }
        var frame = Frame()
        guard try stream.next(into: &frame) else { throw MediaError.worker("no image") }
        return RGBImage(width: frame.width, height: frame.height, pixels: frame.rgb)
    }

    /// Reads the metadata of a recording without decoding it.
    public static func probe(
        _ file: RecordingFile, request: FrameRequest, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> DecodeResult {
        var probe = request
        probe.output = .probe
        let stream = try FrameStream(file, request: probe, isCancelled: isCancelled)
        var frame = Frame()
        while try stream.next(into: &frame) {}
        return stream.result
    }
}
