/// A request that the pieces below could each serve, but not together.
public struct LongtakeError: Error, CustomStringConvertible, Sendable {
    public enum Code: String, Sendable {
        case unsupportedModel = "unsupported_model"
        case notEnoughMemory = "not_enough_memory"
        case notEnoughDisk = "not_enough_disk"
        case unknownRecording = "unknown_recording"
        case noModel = "no_model"
        case contextExceeded = "context_exceeded"
        case badRequest = "bad_request"
        case interrupted
    }
    public let code: Code
    public let message: String
    public var description: String { message }

    public init(code: Code, message: String) {
        self.code = code
        self.message = message
    }
}
