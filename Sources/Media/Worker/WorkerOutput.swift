import Foundation
import Glibc

/// Writes messages to the worker's end of the pipe.
final class WorkerOutput {
    private let descriptor: Int32

    init(descriptor: Int32) { self.descriptor = descriptor }

    func send(_ kind: WorkerMessage.Kind, json value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let data = [UInt8](try encoder.encode(value))
        try send(WorkerMessage(kind, payload: data.count), data)
    }

    func send(_ message: WorkerMessage, _ payload: [UInt8]) throws {
        try write(message.encode())
        if !payload.isEmpty { try write(payload) }
    }

    private func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { return }
            var done = 0
            while done < raw.count {
                let wrote = Glibc.write(descriptor, base + done, raw.count - done)
                if wrote < 0 {
                    if errno == EINTR { continue }
                    throw MediaError.worker("its pipe is closed")
                }
                done += wrote
            }
        }
    }
}

/// Reports reading progress to the parent while no frames come: at most ten times a second, and only if bytes were
/// read.
struct SignOfLife {
    private let output: WorkerOutput
    private var last = ContinuousClock.now
    private var position: Int64 = -1

    init(_ output: WorkerOutput) { self.output = output }

    mutating func send(at position: Int64) throws {
        let now = ContinuousClock.now
        guard now - last > .milliseconds(100), position != self.position else { return }
        (last, self.position) = (now, position)
        var message = WorkerMessage(.heartbeat, payload: 0)
        message.highWater = position
        try output.send(message, [])
    }
}
