internal import Foundation

/// A pipeline that systemd runs every night: what its service and its timer say.
package struct NightlyJob: Sendable, Equatable {
    /// Whose systemd runs the job.
    package enum Scope: String, Sendable, Codable, CaseIterable {
        /// The machine's.
        case system
        /// This user's own, which runs while the user is logged in, or always with lingering.
        case user
    }

    /// Name of the job: its units are `longtake-NAME.service` and `longtake-NAME.timer`.
    package let name: String
    /// Whose systemd runs the job.
    package let scope: Scope
    /// When the job starts.
    package let time: TimeOfDay
    /// Absolute path of the pipeline's file.
    package let pipeline: String
    /// Absolute path of the program.
    let program: String
    /// The program's arguments.
    let arguments: [String]
    /// The user that a job of the machine runs as; nil in a user's own.
    package let account: String?

    /// The account that the Debian package creates; its jobs use the package's cache and catalog.
    package static let packageAccount = "longtake"

    /// Longest name: unit names have at most 255 characters.
    private static let nameLimit = 200

    /// Creates a job.
    ///
    /// - Parameters:
    ///   - name: letters, digits, `-`, `_` and `.`; nil takes the pipeline's file name with all else replaced by `-`.
    ///   - pipeline: absolute path of a pipeline file.
    ///   - command: absolute path of the program, and its arguments.
    ///   - account: the user that a job of the machine runs as.
    /// - Throws: `LongtakeError` `bad_request` for an invalid name, or for a path that a unit file cannot hold.
    package init(
        name: String?, scope: Scope, time: TimeOfDay, pipeline: String, command: (program: String, arguments: [String]),
        account: String?
    ) throws {
        let name = name ?? Self.name(of: pipeline)
        guard Self.isName(name) else {
            throw LongtakeError(
                code: .badRequest,
                message: "invalid job name \"\(name)\"; use 1 to \(Self.nameLimit) letters, digits, -, _ and .")
        }
        for text in [pipeline, command.program] + command.arguments {
            guard UnitText.isPlain(text), String(validating: text.utf8, as: UTF8.self) != nil,
                !text.unicodeScalars.contains("\u{FFFD}")
            else {
                throw LongtakeError(
                    code: .badRequest,
                    message:
                        "\(text): a unit file cannot hold this path; rename it without control characters, in UTF-8")
            }
        }
        (self.name, self.scope, self.time, self.pipeline) = (name, scope, time, pipeline)
        (program, arguments) = command
        self.account = scope == .system ? account : nil
    }

    /// The file's name without its suffix, and with everything that a job name cannot have replaced by `-`.
    private static func name(of pipeline: String) -> String {
        let stem = URL(fileURLWithPath: pipeline).deletingPathExtension().lastPathComponent
        return String(stem.map { isNameCharacter($0) ? $0 : "-" }.prefix(nameLimit))
    }

    private static func isNameCharacter(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "-_.".contains(character))
    }

    /// True for text that may be a job's name.
    static func isName(_ text: String) -> Bool {
        (1...nameLimit).contains(text.count) && text.allSatisfy(isNameCharacter)
    }

    /// File name of the service, which runs the pipeline once.
    package var service: String { "longtake-\(name).service" }
    /// File name of the timer, which starts the service.
    package var timer: String { "longtake-\(name).timer" }
}
