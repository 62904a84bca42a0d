/// Seconds that the decode worker spent in each stage of a recording.
package struct DecodeStages: Sendable, Codable, Equatable {
    /// A stage of the worker's main thread.
    package enum Stage: String, Sendable, CaseIterable {
        /// Opening the container and the decoder, and finding the streams.
        case opening
        /// Reading packets from the container.
        case reading
        /// Decoding; with several decoder threads, waiting for them.
        case decoding
        /// Converting sampled frames to RGB.
        case converting
        /// Resizing them for the model.
        case resizing
        /// Writing them to the pipe, which waits for the reader.
        case sending
    }

    /// Seconds by the name of the stage.
    package private(set) var seconds: [String: Double] = [:]
    /// Seconds from the start of the session to its result.
    package internal(set) var total = 0.0

    /// The seconds of a stage.
    package subscript(_ stage: Stage) -> Double {
        get { seconds[stage.rawValue] ?? 0 }
        set { seconds[stage.rawValue] = newValue }
    }
}

/// Measures the stages of decoding, if that was requested.
final class StageTimer {
    private var measured: DecodeStages?
    private let clock = ContinuousClock()
    private let start = ContinuousClock.now

    init(isOn: Bool) { measured = isOn ? DecodeStages() : nil }

    /// The stages so far; nil if nothing is measured.
    var stages: DecodeStages? {
        var stages = measured
        stages?.total = Self.seconds(clock.now - start)
        return stages
    }

    func measure<Value: ~Copyable>(_ stage: DecodeStages.Stage, _ body: () throws -> Value) rethrows -> Value {
        guard measured != nil else { return try body() }
        let start = clock.now
        defer {
            measured?[stage] += Self.seconds(clock.now - start)
        }
        return try body()
    }

    private static func seconds(_ duration: Duration) -> Double {
        let (seconds, attoseconds) = duration.components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}
