internal import Foundation
internal import Glibc

/// A path with fields that are filled in per run and recording, such as `answers/%Y-%m-%d.jsonl` or
/// `notes/{folder}/{name}.vtt`.
package struct PathTemplate: Sendable, Equatable {
    /// What a field stands for.
    enum Field: String, CaseIterable {
        /// The date of the run's start, in local time: 2026-11-29.
        case date
        /// The name of the recording's folder.
        case folder
        /// The recording's file name without its suffix.
        case name
        /// The recording ID.
        case id
        /// The recording's camera; "unknown" if it has none.
        case camera

        var isOfRecording: Bool { self != .date }
    }

    /// The values of a recording's fields.
    package struct Values: Sendable {
        package var path: InputPath
        package var id: String
        package var camera: String?

        /// The values of one recording.
        package init(path: InputPath, id: String, camera: String? = nil) {
            (self.path, self.id, self.camera) = (path, id, camera)
        }
    }

    private enum Part: Equatable {
        case text(String)
        case field(Field)
        /// A conversion of strftime(3).
        case time(Character)
    }

    /// The template as written.
    package let text: String
    private let parts: [Part]
    /// Conversions of strftime(3) that are accepted.
    private static let conversions = "YmdHMSjVuGy"

    /// True if the path depends on the recording.
    package var isPerRecording: Bool {
        parts.contains { if case .field(let field) = $0 { field.isOfRecording } else { false } }
    }

    /// Parses a template.
    ///
    /// - Throws: `LongtakeError` `bad_request` for an unknown field or conversion.
    package init(_ text: String) throws {
        self.text = text
        var parts: [Part] = []
        var plain = ""
        func bad(_ problem: String) -> LongtakeError {
            LongtakeError(code: .badRequest, message: "\(problem) in the path \"\(text)\"")
        }
        func flush() {
            if !plain.isEmpty { parts.append(.text(plain)) }
            plain = ""
        }
        var rest = Substring(text)
        while let character = rest.popFirst() {
            if character == "%" {
                guard let next = rest.popFirst() else { throw bad("a single % at the end; write %% for the letter") }
                if next == "%" {
                    plain.append("%")
                    continue
                }
                guard Self.conversions.contains(next) else {
                    throw bad("unknown %\(next); known are %Y %m %d %H %M %S %j %G %V %u %y and %% for the letter")
                }
                flush()
                parts.append(.time(next))
            } else if character == "{" {
                guard let end = rest.firstIndex(of: "}") else { throw bad("{ without }") }
                let name = String(rest[..<end])
                guard let field = Field(rawValue: name) else {
                    let known = Field.allCases.map(\.rawValue)
                    let hint = Spelling.suggestion(for: name, among: known).map { "; did you mean {\($0)}?" } ?? ""
                    throw bad(
                        "unknown field {\(name)}\(hint.isEmpty ? "; known are {" + known.joined(separator: "}, {") + "}" : hint)"
                    )
                }
                flush()
                parts.append(.field(field))
                rest = rest[rest.index(after: end)...]
            } else {
                plain.append(character)
            }
        }
        flush()
        self.parts = parts
    }

    /// Parses the template of a file that each run writes.
    ///
    /// - Parameter what: what the file holds, for the message.
    /// - Throws: `LongtakeError` `bad_request` as `init(_:)`, and for a path that depends on the recording.
    init(ofRun text: String, what: String) throws {
        try self.init(text)
        guard !isPerRecording else {
            throw LongtakeError(
                code: .badRequest, message: "the \(what) is one file per run; use {date} or %Y")
        }
    }

    /// The path for a run that started at `time`, in seconds since 1970, and for a recording.
    package func path(time: Int, recording: Values? = nil) -> String {
        parts.map { part in
            switch part {
            case .text(let text): text
            case .time(let conversion): Self.formatted("%\(conversion)", time)
            case .field(let field): Self.safe(value(field, time, recording))
            }
        }.joined()
    }

    private func value(_ field: Field, _ time: Int, _ recording: Values?) -> String {
        switch field {
        case .date: Self.formatted("%Y-%m-%d", time)
        case .id: recording?.id ?? ""
        case .camera: recording?.camera ?? "unknown"
        case .folder, .name:
            Self.component(recording?.path.absolute.description ?? "", isFolder: field == .folder)
        }
    }

    private static func component(_ path: String, isFolder: Bool) -> String {
        let parts = path.split(separator: "/")
        if isFolder { return parts.dropLast().last.map(String.init) ?? "" }
        guard let name = parts.last else { return "" }
        guard let point = name.lastIndex(of: "."), point != name.startIndex else { return String(name) }
        return String(name[..<point])
    }

    /// A value as one component of a path: without slashes and control characters, and never "." or "..".
    private static func safe(_ value: String) -> String {
        let plain = value.unicodeScalars.map { scalar -> Character in
            scalar == "/" || scalar.properties.generalCategory == .control ? "_" : Character(scalar)
        }
        return ["", ".", ".."].contains(value) ? "_" : String(plain.prefix(200))
    }

    private static func formatted(_ format: String, _ time: Int) -> String {
        var (time, parts) = (time_t(time), tm())
        localtime_r(&time, &parts)
        var bytes = [CChar](repeating: 0, count: 64)
        let count = strftime(&bytes, bytes.count, format, &parts)
        return String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
