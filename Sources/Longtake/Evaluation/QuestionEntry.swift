internal import Checkpoints

/// One entry of a benchmark's file, with its place for messages.
struct QuestionEntry {
    /// The file as given.
    let file: String
    /// Its line, from 1.
    let line: Int
    /// Its number in the file, from 1.
    let number: Int
    /// Its keys.
    let members: [String: JSONValue]

    /// The file's name without folder and suffix.
    var fileStem: String { Self.stem(file) }

    /// A path's name without folder and suffix.
    static func stem(_ path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return name }
        return String(name[..<dot])
    }

    /// True if the key is there and not null.
    func has(_ key: String) -> Bool { members[key].map { !$0.isNull } ?? false }

    /// The text of a key; a number is taken as it is written.
    ///
    /// - Throws: `LongtakeError` `bad_questions` if it is missing, empty or of another type.
    func text(_ key: String) throws -> String {
        guard let value = members[key], !value.isNull else { throw missing(key) }
        guard let text = Self.scalar(value) else { throw bad("`\(key)` must be text") }
        guard !text.isEmpty else { throw bad("`\(key)` is empty") }
        return text
    }

    /// The text of a key; nil if it is missing or null.
    func optionalText(_ key: String) throws -> String? { has(key) ? try text(key) : nil }

    /// The texts of a list, at least two and at most 26.
    func options(_ key: String) throws -> [String] {
        guard let value = members[key], !value.isNull else { throw missing(key) }
        guard let list = value.arrayValue else { throw bad("`\(key)` must be a list of texts") }
        guard (2...26).contains(list.count) else {
            throw bad("`\(key)` must have 2 to 26 options, not \(list.count)")
        }
        return try list.map {
            guard let text = Self.scalar($0) else { throw bad("`\(key)` must be a list of texts") }
            return text
        }
    }

    /// A time in seconds; nil if the key is missing or null.
    func seconds(_ key: String) throws -> Double? {
        guard has(key) else { return nil }
        guard let seconds = members[key]?.doubleValue, seconds.isFinite, abs(seconds) <= 1e9 else {
            throw bad("`\(key)` must be a time in seconds")
        }
        return seconds
    }

    /// The name of a video file: relative, and below the folder of videos.
    func videoName(_ key: String) throws -> String {
        let name = try text(key)
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !name.hasPrefix("/"), !parts.contains(".."), !name.utf8.contains(0), parts.last?.isEmpty == false else {
            throw bad("`\(key)` must be the name of a file below the folder of videos, without ..")
        }
        return name
    }

    /// The error of a key that is not there.
    func missing(_ key: String) -> LongtakeError {
        let other = EvaluationFormat.likely(of: members).map { "; the keys are those of \($0.rawValue)" } ?? ""
        return bad("`\(key)` is missing\(other)")
    }

    /// An error of this entry.
    func bad(_ problem: String) -> LongtakeError { Self.bad(file, line, "question \(number): \(problem)") }

    /// An error at a line of a file.
    static func bad(_ file: String, _ line: Int, _ problem: String) -> LongtakeError {
        LongtakeError(code: .badQuestions, message: "\(file):\(line): \(problem)")
    }

    private static func scalar(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        default: nil
        }
    }
}
