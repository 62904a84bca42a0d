internal import Foundation
internal import Media
internal import Models
internal import Store
internal import Tensors

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
        let status: Int32
        let code: String
        var message = "\(error)"
        switch error {
        case let error as Failure: (code, status) = (error.code, error.exitCode)
        case let error as MediaError:
            code = error.code.rawValue
            status =
                switch error.code {
                case .worker: 1
                case .processLimit: Exit.space
                default: Exit.input
                }
        case let error as PictureError:
            (code, status) = (error.code.rawValue, error.code == .badConfig ? Exit.model : Exit.input)
        case let error as StoreError:
            code = error.code.rawValue
            message = error.message
            status =
                switch error.code {
                case .notFound, .notKept: Exit.noCache
                case .locked: Exit.locked
                case .damaged: Exit.damaged
                case .newerFormat, .olderFormat: Exit.model
                case .noSpace, .cacheFull, .io, .unsafeDirectory: Exit.space
                case .badKey: 1
                case .interrupted: Exit.interrupted
                }
        case let error as CheckpointError:
            code = error.code.rawValue
            status =
                switch error.code {
                case .notEnoughMemory, .notEnoughDisk, .writeFailed: Exit.space
                case .folderNotEmpty: Exit.usage
                default: Exit.model
                }
        case let error as WeightsError:
            let isSpace = [.writeFailed, .notEnoughMemory].contains(error.code)
            (code, status) = (error.code.rawValue, isSpace ? Exit.space : Exit.model)
        case let error as ModelError:
            (code, status) = (error.code.rawValue, error.code == .contextExceeded ? Exit.refused : Exit.model)
        case let error as TokenizerError:
            code = error.code.rawValue
            status = code.hasPrefix("question") ? Exit.usage : Exit.model
        case let error as ComputeError: (code, status) = (error.code.rawValue, Exit.usage)
        case let error as ParityError: (code, status) = ("not_a_case", error.message.isEmpty ? 1 : Exit.model)
        case let error as LongtakeError:
            code = error.code.rawValue
            status =
                switch error.code {
                case .unsupportedModel, .noModel: Exit.model
                case .unknownRecording: Exit.noCache
                case .badRequest, .badPipeline: Exit.usage
                case .growing, .unstable: Exit.input
                case .notEnoughDisk: Exit.space
                case .interrupted: Exit.interrupted
                case .timeIsOver: Exit.partial
                }
        default:
            code = "failure"
            status = 1
            message = (error as NSError).localizedDescription
        }
        // A failure has its subject already, and so has what names the path from the root.
        if let subject, !(error is Failure), !message.contains(subject),
            !message.contains(InputPath(subject).absolute.description)
        {
            message = "\(subject): \(message)"
        }
        self.init(code: code, message: message, exitCode: status)
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
