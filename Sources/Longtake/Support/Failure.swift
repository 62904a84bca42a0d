internal import Foundation

/// Any error of the lower layers as a code, a message and an exit status.
public struct Failure: Error, CustomStringConvertible, Sendable, Codable {
    /// Stable code for programs.
    public let code: String
    /// The error in one sentence.
    public let message: String
    /// The exit status of a run that ends with this error.
    package let exitCode: Int32
    /// The frames a stopped run has sealed; the next run continues from there.
    package var kept: Kept?
    /// The error of the lower layer that this was made from; nil for one of this layer. Not in JSON.
    package private(set) var underlying: (any Error)?
    /// The next step, if the program that reports the error has an option or command for it; not in the JSON.
    package var remedy: Remedy?

    /// The index a stopped run left.
    package struct Kept: Sendable, Codable {
        /// Recording ID.
        package let id: String
        /// Index ID.
        package let index: String
        /// Number of sealed frames.
        package let frames: Int
    }

    /// The message.
    public var description: String { message }

    private enum CodingKeys: String, CodingKey {
        case code, message, kept
        case exitCode = "exit_code"
    }

    /// Creates a failure; a message longer than `messageLimit` is shortened.
    package init(code: String, message: String, exitCode: Int32, remedy: Remedy? = nil) {
        self.code = code
        self.message = Self.shortened(message)
        self.exitCode = exitCode
        self.remedy = remedy
    }

    /// The longest message, in bytes.
    static let messageLimit = 1800

    /// Returns the message with its middle removed if it is longer than `messageLimit`.
    package static func shortened(_ message: String) -> String {
        guard message.utf8.count > messageLimit else { return message }
        let half = messageLimit / 2 - 50
        let (start, end) = (message.utf8.prefix(half), message.utf8.suffix(half))
        let left = message.utf8.count - 2 * half
        return String(decoding: start, as: UTF8.self) + " … (\(left) bytes omitted) … "
            + String(decoding: end, as: UTF8.self)
    }

    /// Converts any error; `subject` is prepended to messages that do not name the file themselves.
    ///
    /// A `Failure` stays as it is: it has its subject already.
    package init(_ error: any Error, subject: String? = nil) {
        if let failure = error as? Failure {
            self = failure
            return
        }
        let coded = error as? any CodedError
        var message = coded?.message ?? (error as NSError).localizedDescription
        if let subject, !message.contains(subject), !message.contains(InputPath(subject).absolute.description) {
            message = "\(subject): \(message)"
        }
        self.init(
            code: coded?.codeText ?? "failure", message: message, exitCode: coded?.exitStatus ?? 1,
            remedy: coded?.remedy)
        kept = (error as? LongtakeError)?.kept
        underlying = error
    }
}

extension Failure {
    /// A file cannot be written.
    ///
    /// - Parameter what: what it would hold, for the message; nil: it need not be said.
    package static func cannotWrite(_ path: String, what: String? = nil, _ error: any Error) -> Failure {
        cannotWrite(path, what: what, reason: Failure(error).message)
    }

    /// A file cannot be written, for a reason that is told as text.
    static func cannotWrite(_ path: String, what: String? = nil, reason: String) -> Failure {
        Failure(
            code: "cannot_write", message: "\(path): cannot write\(what.map { " \($0)" } ?? ""): \(reason)",
            exitCode: Exit.space)
    }
}

/// The exit statuses; treat an unknown nonzero status as a failure, since new ones may be added.
package enum Exit {
    /// Some of the work failed or was left undone.
    package static let partial: Int32 = 3
    /// There is no cache, index or recording of that name.
    package static let noCache: Int32 = 10
    /// Another process holds a lock.
    package static let locked: Int32 = 11
    /// The model or a file format cannot be used.
    package static let model: Int32 = 12
    /// Too little disk space, memory or another resource.
    package static let space: Int32 = 13
    /// The input cannot be used.
    package static let input: Int32 = 14
    /// The question does not fit the model's context.
    package static let refused: Int32 = 15
    /// A download failed; trying again later may help.
    package static let download: Int32 = 16
    /// The cache is damaged.
    package static let damaged: Int32 = 17
    /// The command line or a setting is invalid.
    package static let usage: Int32 = 64
    /// Not possible here and now; another machine, or another time, may do.
    package static let retry: Int32 = 75
    /// Interrupted by SIGINT.
    package static let interrupted: Int32 = 130
    /// Ended by SIGTERM.
    package static let terminated: Int32 = 143
}
