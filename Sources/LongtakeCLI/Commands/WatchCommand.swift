import ArgumentParser
import Longtake

struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Run a pipeline on recordings as they are finished, until stopped.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake watch pipelines/surveillance.yaml --json

            A recording is taken when no process has it open for writing and it has not changed for min_age (the option, the \
            pipeline's key, else 10 s). Everything else is as with `longtake run`: nothing is indexed or asked twice, failed \
            files are tried again after a pause. SIGTERM ends it with what is finished kept.
            """))

    @Argument(help: "The pipeline's YAML file.", completion: .file(extensions: ["yaml", "yml"]))
    var pipeline: String

    @Option(.minAge, "Take files that have not changed for this time; 10 s by default.")
    var minAge: TimeArgument?

    @Option(
        help: "Look at the folders this often even if no change is reported, as on network mounts; 10 s by default.")
    var interval: TimeArgument?

    @OptionGroup var inputs: InputOptions
    @OptionGroup var options: PipelineOptions

    mutating func run() throws {
        StatusSignal.answer()
        try options.keyValues.check()
        let interval = interval?.seconds ?? 10
        guard interval >= 0.1, interval <= 86_400 else {
            throw UsageError("--interval must be 0.1 s to 24h, not \(interval) s")
        }
        let file = try PipelineFile(path: pipeline, cancellation: Interruption.cancellation)
        let setup = try PipelineSetup(file, options, minAge: minAge)
        let runner = try setup.runner(deadline: nil, standardMinimumAge: 10, settings: PipelineRunSettings())
        let (inputs, output) = (inputs, options.output)
        let report = IndexReport(output)
        output.note("watching \(counted(file.inputs.count, "input")) of \(Console.name(pipeline))")
        let watcher = PipelineWatcher(runner, interval: interval, cancellation: Interruption.cancellation) {
            try inputs.find(file)
        }
        try watcher.run(event: { report.show($0) }, done: { report.show($0, isPipeline: true) })
    }
}
