internal import Checkpoints

/// An error in a tokenizer's files, in a question, or in the choice of a template.
public struct TokenizerError: Error, CustomStringConvertible, Equatable, Sendable {
    /// Stable identifiers for programs; `message` is for users.
    public enum Code: String, Sendable {
        case fileUnreadable = "tokenizer_file_unreadable"
        case fileTooLarge = "tokenizer_file_too_large"
        case fileMalformed = "tokenizer_file_malformed"
        case unsupported = "tokenizer_unsupported"
        case notFound = "tokenizer_not_found"
        case specialMissing = "tokenizer_special_missing"
        case questionEmpty = "question_empty"
        case questionTooLong = "question_too_long"
        case questionHasNUL = "question_has_nul"
        case templateUnknown = "template_unknown"
    }

    /// The stable identifier.
    public let code: Code
    /// What is wrong, the limit and the next step.
    public let message: String

    /// The message.
    public var description: String { message }

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

// All error messages of this target.
extension TokenizerError {
    private static let fetchAgain = "Fetch the model again, or take the file from the model's publisher."

    static func unreadable(_ file: String, _ reason: String) -> TokenizerError {
        TokenizerError(.fileUnreadable, "\(file) cannot be read: \(reason).")
    }
    static func tooLarge(_ file: String, bytes: Int, limit: Int) -> TokenizerError {
        TokenizerError(
            .fileTooLarge, "\(file) has \(bytes) bytes; a tokenizer file may have at most \(limit). \(fetchAgain)")
    }
    static func malformed(_ file: String, _ fault: String) -> TokenizerError {
        TokenizerError(.fileMalformed, "\(file): \(fault). \(fetchAgain)")
    }
    static func malformed(_ file: String, _ fault: String, at offset: Int) -> TokenizerError {
        malformed(file, "\(fault) at byte \(offset)")
    }
    /// Runs `body`; rethrows a JSON fault as `malformed`, which names the file.
    static func naming<Result>(_ file: String, _ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let fault as JSONFault { throw malformed(file, fault.description) }
    }
    static func unsupported(_ file: String, _ what: String) -> TokenizerError {
        TokenizerError(
            .unsupported,
            "\(file): \(what) is not supported. Supported are Llama-3 byte-level BPE, Llama-2/Vicuna sentencepiece BPE "
                + "with byte fallback, and CLIP BPE.")
    }
    static func notFound(_ folder: String) -> TokenizerError {
        TokenizerError(
            .notFound,
            "\(folder) has no tokenizer: expected tokenizer.json, tokenizer.model, or vocab.json with merges.txt. "
                + fetchAgain)
    }
    static func specialMissing(_ token: String, template: String) -> TokenizerError {
        TokenizerError(
            .specialMissing,
            "The conversation template \(template) needs the special token \(token), which this tokenizer "
                + "does not have. Choose the template that belongs to the model.")
    }
    static func unknownTemplate(_ name: String, file: String) -> TokenizerError {
        TokenizerError(
            .templateUnknown,
            "\(file) names the unknown conversation template \(quoted(name)); supported are "
                + ConversationTemplate.allCases.map(\.rawValue).joined(separator: ", ") + ".")
    }
    static func questionEmpty() -> TokenizerError {
        TokenizerError(.questionEmpty, "The question is empty. Write at least one character that is not white space.")
    }
    static func questionTooLong(bytes: Int, limit: Int) -> TokenizerError {
        TokenizerError(.questionTooLong, "The question has \(bytes) bytes; the limit is \(limit) bytes. Shorten it.")
    }
    static func questionNUL(at offset: Int) -> TokenizerError {
        TokenizerError(.questionHasNUL, "The question has a NUL character at byte \(offset). Remove it.")
    }

    /// Quotes a name from a file for a message: at most 80 code points, control characters escaped.
    static func quoted(_ name: String) -> String {
        var text = "\""
        for scalar in name.unicodeScalars.prefix(80) {
            text +=
                scalar.properties.generalCategory == .control
                ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }
        return text + (name.unicodeScalars.count > 80 ? "…\"" : "\"")
    }
}
