/// What every answer about a recording states beside the model's output.
struct AnswerContext {
    /// Where the file is; nil: as the source has it.
    var path: String?
    /// Start and end of the window asked about, in seconds on the file's timeline; nil: not asked window by window.
    var segment: [Double]?
    /// Remarks about the index, after those about the answer.
    var notes: [String] = []
    /// Seconds of indexing the recording or opening its index; counted for the first answer.
    var indexSeconds = 0.0
    /// Indexing time per newly encoded frame, for the first answer; nil if no frame was encoded.
    var secondsPerFrame: Double?
    /// When the question was asked, RFC 3339.
    var created = ""

    /// The context of the answers after the first.
    var withoutTimings: AnswerContext { AnswerContext(path: path, segment: segment, notes: notes, created: created) }
}
