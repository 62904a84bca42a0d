/// An unusual property of a recording that does not prevent decoding.
public struct MediaNote: Sendable, Codable, Equatable {
    /// A stable identifier for programs.
    public let code: String
    /// The text for people.
    public let message: String

    /// Creates a note.
    public init(code: String, message: String) {
        self.code = code
        self.message = message
    }
}
