import ArgumentParser
import Longtake

struct ClusterCollectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect", abstract: "Bring the results of a cluster run into this machine's library and outputs.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cluster collect --run /shared/tonight

            Checks every result, makes the indexes of their parts, and writes the pipeline's outputs as one run on one \
            machine would. A damaged result is removed and its shard named. The same again changes nothing. Exit status 3: \
            results are missing, or a recording failed.
            """))

    @Flag(help: "Make the outputs of what is there although results are missing.")
    var allowMissing = false

    @OptionGroup var folder: ClusterRunOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var setup: ClusterSetupOptions

    mutating func run() throws {
        StatusSignal.answer()
        let output = setup.output
        let run = try folder.open()
        let file = try run.pipeline(Interruption.cancellation)
        let commands = try setup.setup(file, library: library)
        var settings = run.settings
        settings.retriesFailed = true
        let runner = try commands.runner(deadline: nil, settings: settings)
        let collector = ClusterCollector(run, runner: runner, cancellation: Interruption.cancellation)
        let (progress, report) = (output.progress, IndexReport(output))
        let result = try collector.collect(
            allowsMissing: allowMissing,
            imported: { progress.show("\($1) of \(counted($2, "recording")): \(Console.name($0))") },
            event: { report.show($0) })
        progress.clear()
        report.show(result.summary, isPipeline: true)
        if result.summary.isPartial || !result.found.shards.isEmpty { throw ExitCode(Exit.partial) }
    }
}
