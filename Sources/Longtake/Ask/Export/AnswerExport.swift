internal import Foundation

/// Answers in the formats that video tools read.
public struct AnswerExport: Sendable {
    public enum Format: String, Sendable, CaseIterable {
        /// One `AnswerRecord` per line.
        case jsonl
        /// RFC 4180: one row per stretch of evidence.
        case csv
        /// Subtitles: WebVTT, and SubRip.
        case vtt, srt
        /// OpenTimelineIO: one clip with a marker per stretch.
        case otio
        /// CMX 3600, markers as DaVinci Resolve imports them.
        case edl
        /// FFmetadata chapters.
        case chapters
    }

    public let format: Format
    /// Frames per second of `otio` and `edl`; 29.97 and 59.94 count in drop frame.
    public var rate = 25.0
    /// The timecode of the recording's first frame, in seconds: one hour, as is usual.
    public var startTimecode = 3600.0

    public init(_ format: Format) { self.format = format }

    /// The whole document.
    ///
    /// - Parameters:
    ///   - name: the recording's.
    ///   - path: its file.
    ///   - duration: its length in seconds, where known.
    public func document(_ records: [AnswerRecord], name: String, path: String, duration: Double?) throws -> String {
        switch format {
        case .jsonl: return try records.map { try Self.line($0) + "\n" }.joined()
        case .csv: return Self.csvHead + records.map(Self.rows).joined()
        case .vtt: return Self.vttHead + Self.cues(records).map { Self.vttCue($0) }.joined()
        case .srt:
            return Self.cues(records).enumerated().map { place, cue in
                "\(place + 1)\n\(Self.stamp(cue.start, ",")) --> \(Self.stamp(cue.end, ","))\n\(cue.text)\n\n"
            }.joined()
        case .otio: return try otio(Self.cues(records), name: name, path: path, duration: duration)
        case .edl: return edl(Self.cues(records), name: name)
        case .chapters: return Self.chapters(Self.cues(records), name: name)
        }
    }

    /// A stretch of the recording and what is said of it.
    struct Cue {
        let start: Double
        let end: Double
        let record: AnswerRecord
        /// Two lines: the question, the answer.
        var text: String { Self.flat(record.question) + "\n" + Self.flat(record.answer) }
        var title: String { Self.flat(record.question) + " " + Self.flat(record.answer) }

        /// One line; a blank one would end a cue.
        private static func flat(_ text: String) -> String {
            text.split { $0.isNewline }.joined(separator: " ").trimmingCharacters(in: .whitespaces)
        }
    }

    /// In the order of time; answers without a place in the recording are left out.
    static func cues(_ records: [AnswerRecord]) -> [Cue] {
        records.flatMap { record in
            record.places.map { Cue(start: $0.lowerBound, end: $0.upperBound, record: record) }
        }.sorted { $0.start != $1.start ? $0.start < $1.start : $0.end < $1.end }
    }

    // MARK: Lines

    static func line(_ record: AnswerRecord) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(record), as: UTF8.self)
    }

    /// The first line of CSV; lines end as RFC 4180 says.
    public static let csvHead = "recording,path,question,answer,found,start,end,score,model,created\r\n"

    /// The rows of one answer: one per stretch of evidence, or one with its window's times, or without.
    public static func rows(_ record: AnswerRecord) -> String {
        let front = [record.recording, record.path, record.question, record.answer, "\(record.found)"]
        let back = [record.model, record.created]
        var middle = record.evidence.map { [number($0.start), number($0.end), number($0.score)] }
        if middle.isEmpty || record.segment != nil {
            let window = record.segment ?? []
            middle = [
                [
                    window.first.map(number) ?? "", window.last.map(number) ?? "",
                    record.evidence.first.map { number($0.score) } ?? "",
                ]
            ]
        }
        return middle.map { (front + $0 + back).map(quoted).joined(separator: ",") + "\r\n" }.joined()
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
    }

    private static func quoted(_ field: String) -> String {
        // A cell that begins so is a formula to a spreadsheet, and answers are not to be run.
        let field = field.first.map { "=+-@\t\r".contains($0) } == true && Double(field) == nil ? "'" + field : field
        guard field.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return field }
        return "\"" + field.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }

    /// How WebVTT begins.
    public static let vttHead =
        "WEBVTT\n\nNOTE Times count from the first frame of the recording. \(Answer.caution)\n\n"

    /// One answer about a window as a cue.
    public static func vttCue(window record: AnswerRecord) -> String {
        guard let segment = record.segment, segment.count == 2 else {
            return cues([record]).map { vttCue($0) }.joined()
        }
        return vttCue(Cue(start: segment[0], end: segment[1], record: record))
    }

    static func vttCue(_ cue: Cue) -> String {
        let text = cue.text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;")
        return "\(stamp(cue.start, ".")) --> \(stamp(cue.end, "."))\n\(text)\n\n"
    }

    /// hh:mm:ss and thousandths behind `point`; hours as many digits as they need.
    static func stamp(_ seconds: Double, _ point: String) -> String {
        let thousandths = Int((max(0, min(seconds, 1e9)) * 1000).rounded())
        let rest = "\(thousandths % 1000)"
        return TimeText.clock(Double(thousandths / 1000)) + point + String(repeating: "0", count: 3 - rest.count) + rest
    }

    /// FFmetadata: =, ;, #, \ and line ends are escaped.
    private static func chapters(_ cues: [Cue], name: String) -> String {
        func escaped(_ text: String) -> String {
            text.reduce(into: "") { $0 += "=;#\\".contains($1) ? "\\\($1)" : "\($1)" }
        }
        let head = ";FFMETADATA1\ntitle=\(escaped(name.split { $0.isNewline }.joined(separator: " ")))\n"
        return head
            + cues.map { cue in
                let (start, end) = (Int((cue.start * 1000).rounded()), Int((cue.end * 1000).rounded()))
                return "\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=\(start)\nEND=\(end)\ntitle=\(escaped(cue.title))\n"
            }.joined()
    }
}
