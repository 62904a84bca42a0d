import ArgumentParser
import Longtake

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a pipeline: index new recordings and ask its questions.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake run pipelines/nightly.yaml

            Unchanged recordings are skipped, and questions that already have an answer are not asked again. If a \
            recording fails, the others are still processed; the exit status is then 3.
            """))

    @Argument(help: "The pipeline's YAML file.", completion: .file(extensions: ["yaml", "yml"]))
    var pipeline: String

    @Option(.minAge, "Skip files changed within this time, since they may still be growing.")
    var minAge: TimeArgument?

    @Option(.waitLock, "Wait this long while another run of this pipeline is going on; by default not at all.")
    var waitLock: TimeArgument?

    @Flag(help: "Print what a run would do with each file, without decoding, and do nothing.")
    var plan = false

    @Flag(help: "Try files that failed before again at once.")
    var retryFailed = false

    @Option(
        .metricsTextfile, "Write the run's result as Prometheus text for node_exporter, e.g. to longtake.prom.",
        completion: .file())
    var metricsTextfile: String?

    @OptionGroup var inputs: InputOptions
    @OptionGroup var runtime: RuntimeOptions
    @OptionGroup var options: PipelineOptions

    mutating func run() throws {
        StatusSignal.answer()
        try options.keyValues.check()
        let file = try PipelineFile(path: pipeline, cancellation: Interruption.cancellation)
        var settings = PipelineRunSettings()
        settings.lockWait = try OptionName.waitLock.value(waitLock)?.seconds ?? 0
        settings.retriesFailed = retryFailed
        let setup = try PipelineSetup(file, options, minAge: minAge)
        let deadline = try runtime.deadline(file: file.limits.maxRuntime)
        let output = options.output
        let walker = try inputs.walk(file, output)
        let runner = try setup.runner(deadline: deadline, settings: settings)
        if plan { return PlanReport.show(try runner.plan(walker), output) }
        let report = IndexReport(output)
        let summary: BatchSummary
        do {
            summary = try runner.run(walker) { report.show($0) }
        } catch {
            // The run's own error is the one to report.
            try? writeMetrics(BatchSummary(), file, Failure(error).exitCode)
            throw error
        }
        try writeMetrics(summary, file, summary.isPartial ? Exit.partial : 0)
        report.show(summary, isPipeline: true)
        if summary.isPartial { throw ExitCode(Exit.partial) }
    }

    private func writeMetrics(_ summary: BatchSummary, _ file: PipelineFile, _ status: Int32) throws {
        guard let path = try OptionName.metricsTextfile.value(metricsTextfile) else { return }
        let text = RunMetrics.text(summary, pipeline: file.identity, exitStatus: status, version: Version.text)
        try RunMetrics.write(text, to: path)
    }
}
