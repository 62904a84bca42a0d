internal import Foundation

/// Any error of the layers below, as one code, one message and one exit status.
public struct Failure: Error, CustomStringConvertible, Sendable, Codable {
    public let code: String
    public let message: String
    /// The exit status of a run that this ended.
    public let exitCode: Int32
    /// What a run that was stopped has sealed; the next one goes on from there.
    public var kept: Kept?

    public struct Kept: Sendable, Codable {
        public let id: String
        public let index: String
        public let frames: Int
    }

    public var description: String { message }

    private enum CodingKeys: String, CodingKey {
        case code, message, kept
        case exitCode = "exit_code"
    }

    public init(code: String, message: String, exitCode: Int32) {
        self.code = code
        self.message = Self.shortened(message)
        self.exitCode = exitCode
    }

    /// The longest message in bytes.
    static let messageLimit = 1800

    /// A message with its middle left out where it quotes more than anybody reads.
    package static func shortened(_ message: String) -> String {
        guard message.utf8.count > messageLimit else { return message }
        let half = messageLimit / 2 - 50
        let (start, end) = (message.utf8.prefix(half), message.utf8.suffix(half))
        let left = message.utf8.count - 2 * half
        return String(decoding: start, as: UTF8.self) + " … (\(left) bytes left out) … "
            + String(decoding: end, as: UTF8.self)
    }

    /// `subject` is put in front of messages that do not name the file themselves.
    public init(_ error: any Error, subject: String? = nil) {
        let coded = error as? any CodedError
        var message = coded?.failureMessage ?? (error as NSError).localizedDescription
        // A failure has its subject already, and so has what names the path from the root.
        if let subject, !(error is Failure), !message.contains(subject),
            !message.contains(InputPath(subject).absolute.description)
        {
            message = "\(subject): \(message)"
        }
        self.init(code: coded?.failureCode ?? "failure", message: message, exitCode: coded?.exitStatus ?? 1)
        kept = (error as? Failure)?.kept ?? (error as? LongtakeError)?.kept
    }
}

/// Exit statuses; an unknown one that is not 0 is a failure, new ones may be added.
public enum Exit {
    public static let partial: Int32 = 3
    public static let noCache: Int32 = 10
    public static let locked: Int32 = 11
    public static let model: Int32 = 12
    public static let space: Int32 = 13
    public static let input: Int32 = 14
    public static let refused: Int32 = 15
    public static let damaged: Int32 = 17
    public static let usage: Int32 = 64
    public static let interrupted: Int32 = 130
    public static let terminated: Int32 = 143
}
