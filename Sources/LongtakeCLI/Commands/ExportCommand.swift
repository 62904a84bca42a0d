import ArgumentParser
import Foundation
import Longtake

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract:
            "Write answers about a recording as subtitles, markers, chapters or a table, or cut clips of what they were read from.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake export day.mp4 --format vtt > day.vtt                  the latest answer to each question
              longtake export day.mp4 --format csv --all --since 7d > week.csv
              longtake export --camera front --recorded-since 7d --format csv > front.csv
              longtake ask day.mp4 "Is the door open?" --segments 10m --json > doors.jsonl
              longtake export day.mp4 --clips clips --margin 10s             the evidence of each answer as a video
              longtake export vid_0f3a9c2e --answers doors.jsonl --format edl --rate 29.97 > day.edl

            Times are those that a player of the file shows; edl adds --start. jsonl and csv also have the times from the \
            first frame. An answer that was read from no frame is in jsonl and csv only. --since selects by when the answer was \
            given, --recorded-since by what was recorded. With --camera, --recorded-since or --recorded-until and no recording, \
            jsonl and csv take the answers about all indexed recordings.
            """))

    @Argument(
        help: "ID, the start of one (8 characters or more), or the path it was indexed from.",
        completion: RecordingCompletion.indexed)
    var recording: String?

    @Option(help: "jsonl, csv, vtt, srt, otio, edl or chapters (FFmetadata).", completion: .list(formats))
    var format: String?

    @Option(
        help: ArgumentHelp(
            """
            Cut the evidence of each answer out of the recording, without encoding it again, into a folder per recording: \
            videos, an image of each, and a JSON file that says what it shows and when.
            """, valueName: "dir"), completion: .directory)
    var clips: String?

    @Option(
        help: ArgumentHelp(
            "Time before and after the evidence in a clip, at most 1h; 5s by default. A clip ends at the next key frame.",
            valueName: "time"))
    var margin: TimeArgument?

    @Option(
        help: ArgumentHelp(
            """
            Output of `ask --json` or `run`, of which the answers about this recording are exported; - for standard input. \
            By default the stored answers about it.
            """, valueName: "file"), completion: .file())
    var answers: String?

    @Option(
        help: """
            Frames per second of otio and edl: 25 (the default), 23.976, 30000/1001; 29.97 and 59.94 count in drop frame.
            """)
    var rate = "25"

    @Option(
        help: ArgumentHelp(
            "edl: time code of the recording's start; 01:00:00:00 by default.", valueName: "hh:mm:ss[:ff]"))
    var start: String?

    @Option(
        help: ArgumentHelp(
            "Only answers to this question, given by its text or ID in a pipeline; may be repeated.", valueName: "text")
    )
    var question: [String] = []

    @Option(
        name: [.long, .customLong("answered-since")],
        help: "Only answers given since: 2d, 90m, 2026-11-29, 2026-11-29T04:00:00Z.")
    var since: String?

    @Option(
        help: ArgumentHelp(
            "Only answers about what was recorded since: 2h, 7d, 2026-11-29, 2026-11-29T04:00:00, also with an offset.",
            valueName: "since"))
    var recordedSince: String?

    @Option(
        help: ArgumentHelp(
            "Only answers about what was recorded before this time; a date includes its day.", valueName: "until"))
    var recordedUntil: String?

    @Option(help: ArgumentHelp("Only recordings of this camera; may be repeated.", valueName: "name"))
    var camera: [String] = []

    @Option(help: "Only answers of this model, given by its name in the answers.")
    var model: String?

    @Flag(help: "Only the latest answer per question, range and model (the default).")
    var latest = false

    @Flag(help: "All answers, not only the latest per question, range and model.")
    var all = false

    @OptionGroup var zone: ZoneOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    private static let formats = AnswerExport.Format.allCases.map(\.rawValue)

    mutating func run() throws {
        guard format != nil || clips != nil else { throw UsageError("give --format, --clips or both") }
        let known = try format.flatMap {
            AnswerExport.Format(rawValue: try Choice.check($0, "--format", of: Self.formats))
        }
        guard margin == nil || clips != nil else { throw UsageError("--margin is about clips; give --clips DIR") }
        guard margin?.seconds ?? 0 <= ClipExport.maxMargin else { throw UsageError("--margin is at most 1h") }
        guard let rate = FrameRate(rate) else {
            throw UsageError(
                "invalid --rate \"\(rate)\"; use 1 to 1000 frames per second such as 25, 23.976 or 30000/1001")
        }
        if clips == nil { Interruption.endAtOnce() }
        let first = try start.map(Self.label)
        guard !all || !latest else { throw UsageError("--all and --latest exclude each other") }
        let filter = try filter()
        let selection = try selection()
        guard let recording else { return try exportAll(known, filter, selection) }
        let library = try library.open(telling: output)
        let found = try library.recordings(matching: recording, newest: true).filter(\.isFinished)
        guard let item = found.first else { throw UsageError("no recording \(recording)") }
        guard selection.cameras.isEmpty || item.camera.map(selection.cameras.contains) == true else {
            throw UsageError(
                "\(item.id) is not a recording of \(Choice.list(selection.cameras)), but of "
                    + (item.camera.map { "camera \($0)" } ?? "an unknown camera"))
        }
        let records =
            try answers.map {
                try library.answers(in: $0, about: item, cancellation: Interruption.cancellation)
            }
            ?? found.flatMap { try library.answers(about: $0) }
        guard !records.isEmpty else {
            throw UsageError(
                answers.map { "\($0): no answers about \(item.id) in it" }
                    ?? "no answers about \(item.id) yet: run `longtake ask`")
        }
        let recorded = try AnswerFilter.records(records, in: selection, of: item)
        guard !recorded.isEmpty else { throw UsageError("no answer about \(item.id) is about this time") }
        let chosen = try filter.apply(to: recorded)
        defer { withExtendedLifetime(library) {} }
        if let known { try export(chosen, of: item, as: known, rate, first) }
        guard answers == nil else { return try writeClips([(item, chosen)], library) }
        var recordings: [(item: RecordingSummary, records: [AnswerRecord])] = []
        // Evidence names frames of the index that was asked.
        for item in found where !recordings.contains(where: { $0.item.index == item.index }) {
            let own = try library.answers(about: item).filter(chosen.contains)
            if !own.isEmpty { recordings.append((item, own)) }
        }
        try writeClips(recordings, library)
    }

    private func writeClips(
        _ recordings: [(item: RecordingSummary, records: [AnswerRecord])], _ library: Library
    ) throws {
        guard let clips else { return }
        try ClipsWriter(
            folder: clips, margin: margin?.seconds ?? ClipExport.defaultMargin, library: library, output: output,
            printsPaths: format == nil
        ).run(recordings)
    }

    private func export(
        _ chosen: [AnswerRecord], of item: RecordingSummary, as known: AnswerExport.Format, _ rate: FrameRate,
        _ first: (seconds: Double, frames: Int)?
    ) throws {
        var export = AnswerExport(known)
        export.rate = rate
        if let first { (export.startTimecode, export.startFrames) = first }
        Console.result(
            try export.document(chosen, name: item.name, path: item.path, end: item.end))
        if known != .jsonl, known != .csv {
            let withoutTimes = chosen.count { $0.intervals.isEmpty }
            if withoutTimes > 0 {
                output.note(
                    "note: \(withoutTimes) of \(counted(chosen.count, "answer")) "
                        + "\(withoutTimes == 1 ? "has" : "have") no times and \(withoutTimes == 1 ? "is" : "are") left out"
                )
            }
        }
    }

    /// Exports the answers about all recordings that are selected.
    private func exportAll(
        _ format: AnswerExport.Format?, _ filter: AnswerFilter, _ selection: RecordingSelection
    ) throws {
        guard !selection.isEmpty else {
            throw UsageError("no recording: give one, or select recordings with --camera or --recorded-since")
        }
        if let format, format != .jsonl, format != .csv {
            throw UsageError("--format \(format.rawValue) takes one recording: each has its own times")
        }
        let library = try library.open(telling: output)
        let finished = try library.recordings().filter(\.isFinished)
        let (selected, notes) = try selection.apply(to: finished)
        for note in notes { output.note("note: \(Console.name(note))") }
        var recordings: [(item: RecordingSummary, records: [AnswerRecord])] = []
        // A recording at several paths is listed once for each.
        var seen: Set<String> = []
        for item in selected where seen.insert(item.index).inserted {
            let all =
                try answers.map { try library.answers(in: $0, about: item, cancellation: Interruption.cancellation) }
                ?? library.answers(about: item)
            recordings.append((item, try AnswerFilter.records(all, in: selection, of: item)))
        }
        let records = recordings.flatMap(\.records)
        guard !records.isEmpty else { throw UsageError("no answers about recordings of this time and camera") }
        let chosen = try filter.apply(to: records)
        if let format {
            Console.result(try AnswerExport(format).document(chosen, name: "", path: "", end: nil))
        }
        for index in recordings.indices { recordings[index].records.removeAll { !chosen.contains($0) } }
        try writeClips(recordings.filter { !$0.records.isEmpty }, library)
    }

    private func selection() throws -> RecordingSelection {
        do {
            return try RecordingSelection(
                since: recordedSince, until: recordedUntil, cameras: camera, zone: zone.zone())
        } catch let error as LongtakeError {
            throw UsageError(error.message)
        }
    }

    private func filter() throws -> AnswerFilter {
        var filter = AnswerFilter()
        filter.questions = question
        filter.model = model
        filter.latest = !all
        filter.since = try since.map {
            guard let instant = AnswerFilter.instant($0) else {
                throw UsageError(
                    "invalid --since \"\($0)\"; use a duration such as 2d or 90m, a date or an RFC 3339 time")
            }
            return instant
        }
        return filter
    }

    /// Parses a start time: 3600, 1h, 01:00:00, or with frames 01:00:00:12 or 01:00:00;12.
    private static func label(_ text: String) throws -> (seconds: Double, frames: Int) {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == ";" }
        var (time, frames) = (text, 0)
        if parts.count == 4 {
            guard parts[3].count == 2, let count = Int(parts[3]), count >= 0 else { throw invalid(text) }
            (time, frames) = (parts[0..<3].joined(separator: ":"), count)
        }
        guard let seconds = TimeText.seconds(time), seconds < 86_400 else { throw invalid(text) }
        return (seconds, frames)
    }

    private static func invalid(_ text: String) -> UsageError {
        UsageError("invalid --start \"\(text)\"; use a time code below 24 hours such as 01:00:00:00 or 10h")
    }
}
