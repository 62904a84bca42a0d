/// A file, or one file per recording, that a pipeline writes its answers to.
package struct PipelineOutput: Sendable, Equatable {
    /// The kinds of output.
    package enum Format: String, Sendable, CaseIterable {
        /// One JSON object per answer, appended.
        case jsonl
        /// One row per evidence interval, appended.
        case csv
        /// A database with a table of answers; each answer is one row.
        case sqlite
        /// Documents of one recording, written again when it has new answers.
        case vtt, srt, chapters, otio, edl
        /// The report about one recording, written again when it has new answers.
        case html
        /// A folder of one recording with the evidence of its answers, as videos.
        case clips

        /// True if answers are appended to a file.
        var isAppended: Bool { self == .jsonl || self == .csv }
        /// True for an output that each recording has its own of.
        var isOfRecording: Bool { !isAppended && self != .sqlite }
        /// True if there is one document per recording.
        var isDocument: Bool { isOfRecording && self != .clips }
        /// The export format of a document; nil for the others and for a report.
        var document: AnswerExport.Format? { isDocument ? AnswerExport.Format(rawValue: rawValue) : nil }
    }

    /// What is written.
    package let format: Format
    /// Where it is written, absolute.
    package let path: PathTemplate
    /// Seconds around the evidence in clips.
    package var margin = ClipExport.defaultMargin

    /// The format that a file name's suffix stands for; nil if none.
    static func format(of path: String) -> Format? {
        guard let suffix = path.split(separator: ".").last?.lowercased() else { return nil }
        switch suffix {
        case "json", "ndjson": return .jsonl
        case "db", "sqlite3": return .sqlite
        case "htm": return .html
        // The name of a folder says nothing.
        case "clips": return nil
        default: return Format(rawValue: suffix)
        }
    }
}
