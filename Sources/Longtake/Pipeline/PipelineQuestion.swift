internal import Foundation
internal import Store
internal import Yams

/// One question of a pipeline, or one text search.
package struct PipelineQuestion: Sendable {
    /// Unique in the file; "q1", "q2", … by default.
    package let id: String
    /// The question's text, or the text that is searched for.
    package let text: String
    /// Start of the range, in seconds on the file's timeline; nil: the recording's start.
    package let from: Double?
    /// End of the range, not included; nil: the recording's end.
    package let to: Double?
    /// Most tokens of the answer; nil: `Question.defaultMaxTokens`.
    package let maxTokens: Int?
    /// Which frames the text is fused with; nil: automatic.
    package let fusion: FusionMode?
    /// Length of the windows that are asked about one by one, in seconds; nil: the whole range is asked about.
    package let window: Double?
    /// Asked only if an earlier question's answer meets this; nil: always asked.
    package let condition: AnswerCondition?
    /// Settings that questions have in common.
    package let settings: PipelineAnswerSettings
    /// The form of the answer; nil: free text.
    package var form: AnswerForm?
    /// How the text is searched for; nil: it is a question.
    package var search: PipelineSearch?
    /// True if a recording that has grown is only asked about what is new in it.
    package var isForNew = false

    /// The question as it is asked.
    var request: Question {
        var question = Question(
            text, from: from, to: to, maxTokens: maxTokens ?? Question.defaultMaxTokens, fusion: fusion ?? .automatic)
        question.id = id
        question.form = form
        settings.apply(to: &question)
        return question
    }

    /// Identifies an answer by everything it depends on: the index, the question as asked, and its window.
    ///
    /// - Parameter window: start and end of the window; nil: the whole question, also if it is asked window by window.
    func key(_ recording: IndexedRecording, window part: [Double]? = nil) -> String {
        hash([recording.index, "\(recording.frames)", recording.state.rawValue], part)
    }

    /// Identifies the question by everything that its answers depend on but the recording.
    ///
    /// - Parameter settings: signature of the index's settings.
    func coverageKey(_ settings: String) -> String { hash(["coverage", settings], nil) }

    private func hash(_ head: [String], _ part: [Double]?) -> String {
        var parts =
            head + [
                id, text, from.map { "\($0)" } ?? "", to.map { "\($0)" } ?? "", maxTokens.map { "\($0)" } ?? "",
            ]
        parts += fusion.map { [$0.rawValue] } ?? []
        if let window { parts.append("every \(window)") }
        if let part { parts += part.map { "\($0)" } }
        parts += settings.keyParts
        parts += form.map { ["answer " + $0.key] } ?? []
        parts += search?.keyParts ?? []
        if isForNew { parts.append("for new") }
        return String(ContentHash.sha256(Array(parts.joined(separator: "\u{0}").utf8)).prefix(32))
    }
}

/// Settings of answers, which a pipeline or a question may have.
package struct PipelineAnswerSettings: Sendable, Equatable {
    /// Whether the question is answered a second time; nil: automatic.
    var focus: FocusMode?
    /// Most evidence intervals; nil: as `Question` has it.
    var evidence: Int?
    /// Most frames the text is fused with; nil: as `Question` has it.
    var fusionFrames: Int?
    /// Relative standard error at which fusion stops; nil: as the model has it.
    var fusionError: Double?
    /// Whether an answer without evidence is replaced by "not found"; nil: no.
    var mustBeSeen: Bool?

    static let keys = ["focus", "evidence", "fusion_frames", "fusion_error", "must_be_seen"]

    init() {}

    init(_ keys: PipelineKeys, or base: Self) throws {
        let focus = try keys.string("focus")
        self.focus = try focus.map {
            switch $0 {
            case "auto": return .automatic
            case "off": return .off
            default:
                guard let frames = Int($0), frames > 0 else {
                    throw keys.bad("`focus` must be auto, off or a number of frames, not \($0)", keys.mapping["focus"])
                }
                return .frames(frames)
            }
        }
        self.focus = self.focus ?? base.focus
        evidence = try keys.integer("evidence", from: 0) ?? base.evidence
        fusionFrames = try keys.integer("fusion_frames") ?? base.fusionFrames
        fusionError = try keys.number("fusion_error", in: 0...1) ?? base.fusionError
        mustBeSeen = try keys.boolean("must_be_seen") ?? base.mustBeSeen
    }

    func apply(to question: inout Question) {
        if let focus { question.focus = focus }
        if let evidence { question.evidenceLimit = evidence }
        if let fusionFrames { question.fusionFrames = fusionFrames }
        if let fusionError { question.fusionError = fusionError }
        if let mustBeSeen { question.mustBeSeen = mustBeSeen }
    }

    /// The settings that are given, for the key of an answer.
    var keyParts: [String] {
        [
            focus.map { "focus \($0)" }, evidence.map { "evidence \($0)" }, fusionFrames.map { "frames \($0)" },
            fusionError.map { "error \($0)" }, mustBeSeen.map { "seen \($0)" },
        ].compactMap(\.self)
    }
}
