import ArgumentParser
import Longtake

struct SearchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search", abstract: "Find the moments that a text describes in all indexed recordings.",
        usage: "longtake search TEXT [RECORDING…] [OPTIONS]",
        discussion: Help.text(
            """
            EXAMPLES
              longtake search "a red car in front of a gate"
              longtake search "someone opens the door" day.mp4 vid_0f3a9c2e --limit 5
              longtake search "snow" ~/Recordings --thumbnails seen --json
              longtake search "a person" --camera front --since 7d

            One line per moment, best first: start and end, score, the recording's name and ID. The score is the cosine \
            between the text and the best frame of the moment: it ranks frames, but does not tell whether they match. A \
            description of the image finds more than a question. Needs a model whose vision tower comes with its text tower.
            """))

    @Argument(help: "Description of what to find.")
    var text: String

    @Argument(
        help: ArgumentHelp(
            "Search only these: indexed files, folders of them, IDs or starts of IDs (`longtake ls`).",
            valueName: "recording"), completion: RecordingCompletion.idsAndFiles)
    var recordings: [PathArgument] = []

    @Option(help: "Maximum number of moments; 20 by default.")
    var limit: Int?

    @Option(
        parsing: .unconditional,
        help: """
            Minimum score of a frame, -1 to 1; adjacent frames that reach it are one moment. By default moments are the \
            frames that stand out.
            """)
    var threshold: DecimalNumber?

    @Option(help: "Start of the range to search: 90, 10m, 01:30:00.")
    var from: TimeArgument?

    @Option(help: "End of the range.")
    var to: TimeArgument?

    @Option(
        help: ArgumentHelp("Write an image of each moment, and a contact sheet of all of them.", valueName: "dir"),
        completion: .directory)
    var thumbnails: String?

    @OptionGroup var select: SelectionOptions
    @OptionGroup var zone: ZoneOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        guard !PathArgument.wasRepaired(text) else { throw UsageError("the text is not valid UTF-8") }
        guard !text.allSatisfy(\.isWhitespace) else {
            throw UsageError("no text to search for: give it first, as in longtake search \"a red car\"")
        }
        if RecordingArgument.looksLikeFile(text) || RecordingArgument.looksLikeID(text) {
            guard RecordingArgument.exists(text) || RecordingArgument.looksLikeID(text) else {
                throw RecordingArgument.missing(text)
            }
            throw UsageError("\(text) names a recording: the text to search for comes first")
        }
        let options = try options()
        let library = try library.open(telling: output)
        let result = try search(library, options)
        if output.json { Console.json(result) } else { print(result, library.labels()) }
        if !result.failed.isEmpty { throw ExitCode(Exit.partial) }
    }

    private func options() throws -> SearchOptions {
        var options = SearchOptions()
        options.from = from?.seconds
        options.to = to?.seconds
        if let from, let to, from.seconds >= to.seconds { throw UsageError("--from must be before --to") }
        options.selection = try select.selection(zone.zone())
        options.limit = limit ?? SearchOptions.defaultLimit
        guard SearchOptions.acceptedLimits.contains(options.limit) else {
            throw UsageError("--limit must be 1 to \(SearchOptions.acceptedLimits.upperBound), not \(options.limit)")
        }
        let threshold = threshold?.value
        if let threshold, !(-1...1).contains(threshold) {
            throw UsageError("--threshold must be -1 to 1, not \(threshold)")
        }
        options.threshold = threshold
        return options
    }

    private func search(_ library: Library, _ options: SearchOptions) throws -> SearchResult {
        let folder = try model.folder()
        let settings = try model.settings()
        let searcher: Searcher
        do {
            searcher = try Searcher(
                model: folder, library: library, settings: settings,
                cancellation: Interruption.cancellation)
        } catch {
            throw Failure(error, subject: folder)
        }
        // There is nothing to save.
        Interruption.endAtOnce()
        let progress = output.progress
        var result = try searcher.search(text, in: recordings.map(\.path), options: options) { fraction in
            progress.show("comparing frames: \(Int(saturating: fraction * 100)) %")
        }
        progress.clear()
        if let thumbnails { try searcher.addThumbnails(to: &result, folder: thumbnails) }
        return result
    }

    private func print(_ result: SearchResult, _ labels: PathLabels) {
        for moment in result.moments {
            let recording = moment.recording
            let name = recording.path.isEmpty ? recording.name : labels.name(recording.path)
            let file = [.present, .pipe].contains(recording.file) ? "" : "  (file \(recording.file.rawValue))"
            let times =
                "\(TimeText.clock(moment.start))–\(TimeText.clock(moment.end))"
                + (moment.dayTimes.map { "  \($0)" } ?? "")
            let score = Format.number(moment.score, digits: 2)
            let camera = recording.camera.map { "  camera \(Console.name($0))" } ?? ""
            Console.line("\(times)  \(score)  \(Console.name(name))  \(recording.id)\(camera)\(file)")
        }
        for note in result.notes { output.note("note: \(Console.name(note))") }
        for trouble in result.failed { Console.problem(trouble.error.withHint.message) }
        for file in result.moments.compactMap(\.thumbnail) + [result.contactSheet].compactMap({ $0 }) {
            output.note("wrote \(Console.name(file))")
        }
        let what = counted(result.frames, "frame")
        let recordings = counted(result.recordings, "recording")
        guard let best = result.best, let mean = result.mean, let threshold = result.threshold else {
            return output.note("\(what) of \(recordings) compared")
        }
        if result.moments.isEmpty { output.note("no frame scores \(Format.number(threshold, digits: 2)) or more") }
        output.note(
            "\(what) of \(recordings) compared in \(Format.time(result.timings.scan)); scores: best "
                + "\(Format.number(best, digits: 2)), mean \(Format.number(mean, digits: 2)), shown from "
                + Format.number(threshold, digits: 2))
    }
}
