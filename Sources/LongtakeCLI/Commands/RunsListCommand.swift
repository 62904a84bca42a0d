import ArgumentParser
import Longtake

struct RunsListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the latest runs, the last one first.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake runs list --pipeline pipelines/nightly.yaml --limit 7

            STATE: running, done, partial (something failed), stopped (time limit or signal; the next run continues), failed, \
            killed.
            """))

    @Option(help: ArgumentHelp("Only this pipeline's runs, by its name or file.", valueName: "name"))
    var pipeline: String?

    @Option(help: "Most runs that are listed.")
    var limit = 20

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        guard limit > 0 else { throw UsageError("--limit must be 1 or more, not \(limit)") }
        let runs = try library.open(telling: output).runs(pipeline: pipeline, limit: limit)
        if output.json { return Console.json(runs) }
        if output.isQuiet { return runs.forEach { Console.line($0.id) } }
        guard !runs.isEmpty else { return output.note("no runs yet: run `longtake run FILE.yaml`") }
        let rows = runs.map { Self.row($0) }
        Console.line(
            Format.table([["RUN", "STARTED", "TIME", "STATE", "FILES", "ANSWERS", "FAILED", "PIPELINE"]] + rows))
    }

    private static func row(_ run: RunRecord) -> [String] {
        var row = [String(run.id.prefix(8)), run.started]
        if let summary = run.summary {
            let failed = summary.filesFailed + summary.answersFailed
            row += [Format.time(summary.totalDuration), run.state]
            row += ["\(summary.filesNew + summary.filesResumed) indexed", counted(summary.answers, "answer")]
            row.append("\(failed) failed")
        } else {
            row += ["", run.state, "", "", ""]
        }
        return row + [Console.name(run.pipeline)]
    }
}
