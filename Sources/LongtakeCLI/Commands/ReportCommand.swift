import ArgumentParser
import Foundation
import Longtake

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write a run, or all answers about a recording, as one HTML page.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake report last --out night.html
              longtake report vid_0f3a9c2e > day.html
              longtake report last --json | jq '.recordings[].lanes[].answers[].evidence'

            The page has what is new since the last run, alerts, the answers with their evidence on a timeline and its images, \
            what failed and what it cost. It needs no network and no script. Images are read from the recordings' files; of one \
            that is missing or has changed, the page says so.
            """))

    @Argument(
        help: ArgumentHelp(
            "A run, by its ID, the beginning of it, or last; or a recording, by its ID, the start of one, or its path.",
            valueName: "run or recording"),
        completion: RecordingCompletion.indexed)
    var subject: String = "last"

    @Option(
        help: ArgumentHelp("Write the page to this file; by default to standard output.", valueName: "file"),
        completion: .file(extensions: ["html"]))
    var out: String?

    @Flag(help: "No images of the evidence.")
    var noThumbnails = false

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        guard out != nil || output.json || !Console.isOutputTerminal else {
            throw UsageError("the report is an HTML page; give --out FILE.html, or redirect standard output")
        }
        let library = try library.open(telling: output)
        let data = try data(in: library)
        for recording in data.recordings {
            for note in recording.notes { output.note("note: \(Console.name("\(recording.path): \(note)"))") }
        }
        guard out != nil || !output.json else { return Console.json(data) }
        let page = try ReportPage(data).document()
        guard let out else { return Console.result(page) }
        try RunDocument.write(page, to: URL(fileURLWithPath: out).path, what: "report")
        output.note("wrote \(Console.name(out))")
        if output.json { Console.json(data) }
    }

    /// A run by its ID, else a recording; what looks like a path or a recording's ID is never a run.
    private func data(in library: Library) throws -> ReportData {
        let cancellation = Interruption.cancellation
        // The JSON has no images.
        let pictures = !noThumbnails && (out != nil || !output.json)
        let isRecording = subject.hasPrefix("vid_") || subject.contains("/") || InputPath(subject).exists
        if !isRecording {
            let isRun = try subject == "last" || library.runs(limit: .max).contains { $0.id.hasPrefix(subject) }
            if isRun {
                return try library.report(
                    of: library.run(matching: subject), pictures: pictures, cancellation: cancellation)
            }
        }
        do {
            let found = try library.recordings(matching: subject, newest: true).filter(\.isFinished)
            guard let item = found.first else { throw UsageError("\(subject) is not completely indexed yet") }
            return try library.report(about: item, pictures: pictures, cancellation: cancellation)
        } catch {
            let failure = Failure(error)
            guard failure.code == "unknown_recording", !isRecording else { throw error }
            throw Failure(
                code: failure.code, message: "no run and no indexed recording \(subject)",
                exitCode: failure.exitCode, remedy: failure.remedy)
        }
    }
}
