/// Validates questions before they are encoded; nothing is normalized.
public enum QuestionRules {
    /// 64 KiB of UTF-8: more than any context holds, little enough to encode at once.
    public static let maximumBytes = 65_536

    /// Throws `TokenizerError` if the question is empty, only white space, too long, or contains a NUL.
    public static func validate(_ text: String) throws {
        let bytes = text.utf8
        guard bytes.count <= maximumBytes else {
            throw TokenizerError.questionTooLong(bytes: bytes.count, limit: maximumBytes)
        }
        if let nul = bytes.firstIndex(of: 0) {
            throw TokenizerError.questionNUL(at: bytes.distance(from: bytes.startIndex, to: nul))
        }
        guard !PythonSpace.strip(text).isEmpty else { throw TokenizerError.questionEmpty() }
    }
}
