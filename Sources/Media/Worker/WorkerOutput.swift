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

    /// One more than the index of the last frame sent.
    private(set) var nextIndex = 0

    func send(_ message: WorkerMessage, _ payload: [UInt8]) throws {
        if message.kind == .frame { nextIndex = message.index + 1 }
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
