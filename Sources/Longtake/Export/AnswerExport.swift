internal import Foundation

/// Writes answers in formats that video tools read.
package struct AnswerExport: Sendable {
    /// The file formats of an export.
    package enum Format: String, Sendable, CaseIterable {
        /// One `AnswerRecord` per line.
        case jsonl
        /// RFC 4180: one row per evidence interval.
        case csv
        /// Subtitles: WebVTT and SubRip.
        case vtt, srt
        /// OpenTimelineIO: one clip with a marker per evidence interval.
        case otio
        /// CMX 3600, with markers as DaVinci Resolve imports them.
        case edl
        /// FFmetadata chapters.
        case chapters
    }

    /// The format to write.
    package let format: Format
    /// Frames per second of `otio` and `edl`; 29.97 and 59.94 count in drop frame.
    package var rate: FrameRate = 25
    /// Time code label of the recording's start, in seconds; by convention one hour.
    package var startTimecode = 3600.0
    /// Frames of that label, added to its seconds.
    package var startFrames = 0

    /// An export in the given format, at 25 frames per second and starting at 01:00:00:00.
    package init(_ format: Format) { self.format = format }

    /// The whole document.
    ///
    /// - Parameters:
    ///   - name: the recording's name.
    ///   - path: the recording's file.
    ///   - end: the end of the recording in seconds on the file's timeline, if known.
    /// - Throws: `LongtakeError` `bad_request` for a time that no recording has, or that the format cannot express.
    package func document(_ records: [AnswerRecord], name: String, path: String, end: Double?) throws -> String {
        for record in records { try record.validate() }
        switch format {
        case .jsonl: return try records.map { try Self.line($0) + "\n" }.joined()
        case .csv: return Self.csvHead + records.map(Self.rows).joined()
        case .vtt:
            return Self.vttHead + Self.vttNote(of: records.first) + Self.cues(records).map { Self.vttCue($0) }.joined()
        case .srt:
            return Self.cues(records).enumerated().map { index, cue in
                let text = cue.text.replacingOccurrences(of: "-->", with: "→")
                return "\(index + 1)\n\(cue.times(","))\n\(text)\n\n"
            }.joined()
        case .otio: return try otio(Self.cues(records), name: name, path: path, end: end)
        case .edl: return try edl(Self.cues(records), name: name)
        case .chapters:
            return try Self.chapters(Self.cues(records), name: name, start: records.first?.clock?.start)
        }
    }

    /// An interval of the recording with the question and answer about it.
    struct Cue {
        let start: Double
        let end: Double
        /// Start and end as times of day; empty if unknown.
        let days: [String]
        let record: AnswerRecord
        /// Two lines: the question, the answer.
        var text: String { lines.joined(separator: "\n") }
        var title: String { lines.joined(separator: " ") }

        private var lines: [String] {
            let lines = [Self.flat(record.question), Self.flat(record.answer)].filter { !$0.isEmpty }
            return lines.isEmpty ? ["-"] : lines
        }

        /// The text as one line without control characters: a blank line would end a cue.
        static func flat(_ text: String) -> String {
            let plain = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }
            return String(plain).split { $0.isNewline }.joined(separator: " ").trimmingCharacters(in: .whitespaces)
        }

        /// Start and end of a subtitle, which must end after it starts; `point` separates the thousandths.
        func times(_ point: String) -> String {
            let first = AnswerExport.thousandths(start)
            let last = max(AnswerExport.thousandths(end), first + 1)
            return "\(AnswerExport.stamp(first, point)) --> \(AnswerExport.stamp(last, point))"
        }
    }

    /// All intervals in time order; answers without an interval are left out.
    static func cues(_ records: [AnswerRecord]) -> [Cue] {
        records.flatMap { record in
            record.timedIntervals.map {
                Cue(start: $0.interval.lowerBound, end: $0.interval.upperBound, days: $0.days, record: record)
            }
        }.sorted { $0.start != $1.start ? $0.start < $1.start : $0.end < $1.end }
    }

    /// Cues that begin at the same frame or thousandth, merged, with each of their titles once.
    struct Span {
        let first: Int
        /// Greater than `first`.
        var last: Int
        var titles: [String]
        var title: String { titles.joined(separator: " / ") }
    }

    /// Merges cues that begin together.
    ///
    /// - Parameter position: converts seconds to a frame or a thousandth.
    static func spans(_ cues: [Cue], position: (Double) throws -> Int) rethrows -> [Span] {
        var spans: [Span] = []
        for cue in cues {
            let first = try position(cue.start)
            let last = max(try position(cue.end), first + 1)
            if let open = spans.last, open.first == first {
                spans[spans.count - 1].last = max(open.last, last)
                if !open.titles.contains(cue.title) { spans[spans.count - 1].titles.append(cue.title) }
            } else {
                spans.append(Span(first: first, last: last, titles: [cue.title]))
            }
        }
        return spans
    }

    // MARK: Lines

    static func line(_ record: AnswerRecord) throws -> String { try JSONText.line(record) }

    /// The header row of CSV; rows end in CRLF (RFC 4180).
    package static let csvHead =
        "recording,path,question,answer,found,start,end,score,model,created,start_from_first_frame,end_from_first_frame,"
        + "camera,start_clock,end_clock\r\n"

    /// The CSV rows of one answer: one per evidence interval, else one with its window's times or without times.
    package static func rows(_ record: AnswerRecord) -> String {
        let front = [record.recording, record.path, record.question, record.answer, "\(record.found)"]
        func cells(_ values: [Double?]) -> [String] { values.map { $0.map(number) ?? "" } }
        // Start, end and score, then start and end from the first frame, then as times of day.
        let camera = record.camera ?? ""
        var middle = record.evidence.map {
            cells([$0.start, $0.end, $0.score, $0.startFromFirstFrame, $0.endFromFirstFrame])
                + [camera, $0.startClock ?? "", $0.endClock ?? ""]
        }
        if middle.isEmpty || record.segment != nil && !record.isSearch {
            let (window, first) = (record.segment ?? [], record.segmentFromFirstFrame ?? [])
            middle = [
                cells([window.first, window.last, record.evidence.first?.score, first.first, first.last])
                    + [camera, record.segmentClock?.first ?? "", record.segmentClock?.last ?? ""]
            ]
        }
        return middle.map {
            (front + $0[..<3] + [record.model, record.created] + $0[3...]).map(quoted).joined(separator: ",") + "\r\n"
        }.joined()
    }

    private static func number(_ value: Double) -> String {
        TimeText.number(value)
    }

    /// A field of CSV, in quotes if it needs them.
    static func quoted(_ field: String) -> String {
        // Spreadsheets run a cell that begins like this as a formula; answers must not be executed.
        let field = field.first.map { "=+-@\t\r".contains($0) } == true && Double(field) == nil ? "'" + field : field
        guard field.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return field }
        return "\"" + field.replacingOccurrences(of: "\"", with: "\"\"") + "\""
    }

    /// The header of a WebVTT file.
    package static let vttHead =
        "WEBVTT\n\nNOTE Times are those that a player of the recording shows. \(Answer.caution)\n\n"

    /// The WebVTT note that says when a recording was made and by which camera; empty if neither is known.
    package static func vttNote(of record: AnswerRecord?) -> String {
        guard let record else { return "" }
        var text = ""
        if let clock = record.clock { text += " 00:00:00.000 is \(clock.start) (\(clock.timezone), \(clock.source))" }
        if let camera = record.camera { text += (text.isEmpty ? "" : ",") + " camera \(Cue.flat(camera))" }
        return text.isEmpty ? "" : "NOTE\(text.replacingOccurrences(of: "-->", with: "→"))\n\n"
    }

    /// The WebVTT cue of an answer about a window; without a window, one cue per evidence interval.
    package static func vttCue(window record: AnswerRecord) -> String {
        guard let segment = record.segment, segment.count == 2 else {
            return cues([record]).map { vttCue($0) }.joined()
        }
        return vttCue(Cue(start: segment[0], end: segment[1], days: record.segmentClock ?? [], record: record))
    }

    static func vttCue(_ cue: Cue) -> String {
        let text = cue.text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: ">", with: "&gt;")
        let note = cue.days.count == 2 ? "NOTE \(cue.days[0]) – \(cue.days[1])\n\n" : ""
        return "\(note)\(cue.times("."))\n\(text)\n\n"
    }

    static func thousandths(_ seconds: Double) -> Int {
        Int(saturating: (max(0, min(seconds, AnswerRecord.lastSecond)) * 1000).rounded())
    }

    /// hh:mm:ss, `point` and thousandths; hours take as many digits as they need.
    static func stamp(_ thousandths: Int, _ point: String) -> String {
        let rest = "\(thousandths % 1000)"
        return TimeText.clock(Double(thousandths / 1000)) + point + String(repeating: "0", count: 3 - rest.count) + rest
    }

    /// FFmetadata chapters; =, ;, #, \ and line ends are escaped.
    ///
    /// A player shows one chapter at a time, so each ends where the next begins.
    private static func chapters(_ cues: [Cue], name: String, start: String?) throws -> String {
        func escaped(_ text: String) -> String {
            text.reduce(into: "") { $0 += "=;#\\".contains($1) ? "\\\($1)" : "\($1)" }
        }
        let head =
            ";FFMETADATA1\ntitle=\(escaped(name.split { $0.isNewline }.joined(separator: " ")))\n"
            + (start.map { "creation_time=\($0)\n" } ?? "")
        let spans = spans(cues, position: thousandths)
        let nexts = spans.dropFirst().map(\.first) + [.max]
        return head
            + zip(spans, nexts).map { span, next in
                "\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=\(span.first)\nEND=\(min(span.last, next))\n"
                    + "title=\(escaped(span.title))\n"
            }.joined()
    }
}
