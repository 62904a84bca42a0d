/// An error setting up computation on this machine.
public struct ComputeError: Error, CustomStringConvertible, Sendable {
    /// Stable identifiers for programs.
    public enum Code: String, Sendable {
        case backendMissing = "backend_missing"
        case unknownInstructionSet = "unknown_instruction_set"
        case libraryFailed = "library_failed"
    }

    /// What failed.
    public let code: Code
    /// One line that names the thing, the limit and the next step.
    public let message: String
    /// The message.
    public var description: String { message }
}
