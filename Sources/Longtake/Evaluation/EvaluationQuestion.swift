internal import Checkpoints

/// A question of a benchmark.
package struct EvaluationQuestion: Sendable {
    /// A category that scores are given for: a task, a duration.
    package struct Category: Sendable, Hashable {
        /// What is categorized: "task".
        package let kind: String
        /// The category's name.
        package let name: String
    }

    /// Where its video may be.
    struct Video: Sendable, Hashable {
        /// Possible names below the folder, the suffix possibly missing.
        var names: [String]
        /// Folders below that of the videos in which the benchmark keeps it.
        var folders: [String] = []
    }

    /// The benchmark's ID, or the file's name and the number.
    package let id: String
    /// The video's name in the file.
    package var videoName: String { video.names.first ?? "" }
    /// The question's own text.
    package let text: String
    /// The options in their order; empty for an open question.
    package let options: [String]
    /// The place in the file: "FILE:LINE".
    let place: String
    let video: Video
    /// The range in seconds on the file's timeline; nil: from the start, to the end.
    var from: Double?
    var to: Double?
    /// The reference answer's text; nil if it is not known.
    var reference: String?
    /// Index of the reference among the options; nil if it is not known or not one of them.
    var correct: Int?
    var categories: [Category] = []
    /// The entry's own keys that the predictions repeat.
    var fields: [String: JSONValue] = [:]

    var isOpen: Bool { options.isEmpty }
    /// True if a rule can tell whether an answer is right.
    var isScored: Bool { !isOpen && reference != nil }

    /// The letter of an option: A, B, …
    static func letter(_ index: Int) -> Character { Character(Unicode.Scalar(UInt8(ascii: "A") + UInt8(index))) }

    /// The index of an uppercase letter among the options.
    func index(of letter: Character) -> Int? { options.indices.first { Self.letter($0) == letter } }
}
