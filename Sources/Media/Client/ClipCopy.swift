import Glibc

/// Copies a part of a recording into a file, in the sandboxed worker process.
package enum ClipCopy {
    /// Writes a clip into an empty, open file.
    ///
    /// - Parameters:
    ///   - request: selects the stream, and has the limits.
    ///   - descriptor: a regular file, open for writing.
    ///   - isCancelled: polled while waiting for the worker.
    /// - Throws: `MediaError`; `no_clip` if the part cannot be copied, `cannot_write` if the file cannot be written.
    package static func copy(
        _ file: RecordingFile, _ clip: ClipRequest, request: FrameRequest, to descriptor: Int32,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws -> ClipResult {
        var request = request
        request.clip = clip
        let budget = CPUBudget(request, fileSize: file.size)
        let worker = try WorkerProcess.start(
            file: file.descriptor, destination: descriptor, request: request, isCancelled: isCancelled)
        defer { worker.kill() }
        var read: Int64 = 0
        while true {
            worker.allow(cpuSeconds: budget.allowed(frames: 0, read: read, info: RecordingInfo()), covered: 0)
            guard let message = try worker.readHeader(timeout: request.watchdog) else { throw worker.died() }
            read = max(read, message.highWater)
            switch message.kind {
            case .heartbeat: continue
            case .clip:
                let result = try worker.readJSON(ClipResult.self, message, timeout: request.watchdog)
                _ = worker.wait()
                guard result.isPlausible(clip) else { throw MediaError.worker("an impossible clip") }
                return result
            case .failure:
                let failure = try worker.readJSON(WorkerFailure.self, message, timeout: request.watchdog)
                _ = worker.wait()
                throw MediaError(code: failure.code, message: failure.message)
            case .info, .frame, .end, .sandbox: throw MediaError.worker("an unexpected message")
            }
        }
    }
}
