/// A request that the pieces below could each serve, but not together.
public struct LongtakeError: Error, CustomStringConvertible, Sendable {
    public enum Code: String, Sendable {
        case unsupportedModel = "unsupported_model"
        case unknownRecording = "unknown_recording"
        case noModel = "no_model"
        case badRequest = "bad_request"
        case badPipeline = "bad_pipeline"
        /// Still being written.
        case growing = "still_growing"
        /// Changed while it was read, twice.
        case unstable
        case notEnoughDisk = "not_enough_disk"
        case interrupted
        /// The run has used the time it was given.
        case timeIsOver = "max_runtime"
    }
    public let code: Code
    public let message: String
    /// What a run that was stopped has sealed.
    var kept: Failure.Kept?
    public var description: String { message }

    public init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    static func growing(_ path: String, age: Double, _ minimum: Double) -> Self {
        .init(
            code: .growing,
            message:
                "\(path): still growing (changed \(Int(saturating: age)) s ago, the least age is \(Int(saturating: minimum)) s); it is taken next time"
        )
    }

    static func interrupted(_ path: String, _ what: String, kept: Failure.Kept? = nil) -> Self {
        var error = Self(code: .interrupted, message: "\(path): interrupted; \(what)")
        error.kept = kept
        return error
    }

    static func timeIsOver(_ path: String, _ what: String, kept: Failure.Kept? = nil) -> Self {
        var error = Self(
            code: .timeIsOver, message: "\(path): stopped, the time given with --max-runtime is over; \(what)")
        error.kept = kept
        return error
    }

    static func unstable(_ path: String) -> Self {
        .init(
            code: .unstable,
            message: "\(path): changed while it was read; nothing was kept. Index it when it is finished")
    }
}
