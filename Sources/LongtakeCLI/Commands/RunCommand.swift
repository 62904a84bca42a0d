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

    @OptionGroup var inputs: InputOptions
    @OptionGroup var runtime: RuntimeOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var keyValues: KeyValueOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var prefixCache: PrefixCacheOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        let deadline = try runtime.deadline()
        let policy = try prefixCache.policyOfQuestions()
        try keyValues.check()
        let file = try PipelineFile(path: pipeline, cancellation: Interruption.cancellation)
        var options = try sampling.options(in: file)
        // The command line overrides the pipeline, which overrides the environment.
        options.minimumAge =
            try minAge?.seconds ?? file.minimumAge ?? OptionName.minAge.environmentValue(TimeArgument.self)?.seconds
            ?? 0
        options.deadline = deadline
        let walker = try inputs.walk(
            file.inputs.map { InputPath($0) } + inputs.listed(), recursive: file.recursive, output)
        let identity = try model.identity(or: file.model, precision: file.precision)
        let library = try library.open()
        // An escaping closure cannot capture the `self` of a mutating function.
        let (model, keyValues) = (model, keyValues)
        let analyzer = Deferred {
            Analyzer(
                model: try model.load(
                    or: file.model, precision: file.precision, keyValues: (keyValues, file.keyValues)),
                library: library, prefixCache: policy, cancellation: Interruption.cancellation)
        }
        for note in identity?.notes ?? [] { output.note("note: \(Console.name(note))") }
        let report = IndexReport(output)
        let runner = PipelineRunner(
            file, analyzer: analyzer, options: options, cancellation: Interruption.cancellation
        ) { [options] files in
            // Files whose index is up to date are skipped. Without an identity the model must be loaded, which reports
            // the error.
            guard let identity else { return [:] }
            return try KnownFiles(library, model: identity, options: options, files: files.count).unchanged(files)
        }
        let summary = try runner.run(walker) { report.show($0) }
        report.show(summary, isPipeline: true)
        if summary.isPartial { throw ExitCode(Exit.partial) }
    }
}
