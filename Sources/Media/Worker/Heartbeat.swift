/// Reports progress to the parent while no frames come: at most ten times a second, and only if there was progress.
struct Heartbeat {
    private let output: WorkerOutput
    private var lastTime = ContinuousClock.now
    private var lastProgress: (bytes: Int64, count: Int) = (-1, 0)

    init(_ output: WorkerOutput) { self.output = output }

    /// Sends a heartbeat if one is due.
    ///
    /// - Parameters:
    ///   - highWater: the furthest byte of the file read so far, which is reported.
    ///   - bytes: bytes read in all, if the file is read more than once.
    ///   - count: packets or frames so far.
    mutating func send(highWater: Int64, bytes: Int64? = nil, count: Int = 0) throws {
        let now = ContinuousClock.now
        guard now - lastTime > .milliseconds(100) else { return }
        lastTime = now
        let progress = (bytes: bytes ?? highWater, count: count)
        guard progress != lastProgress else { return }
        lastProgress = progress
        var message = WorkerMessage(.heartbeat, payload: 0)
        message.highWater = highWater
        try output.send(message, [])
    }
}
