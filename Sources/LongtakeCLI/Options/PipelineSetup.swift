import ArgumentParser
import Longtake

/// The options of a command that runs pipelines, besides those of its inputs and of its time.
struct PipelineOptions: ParsableArguments {
    @OptionGroup var select: SelectionOptions
    @OptionGroup var clock: ClockOptions
    @OptionGroup var zone: ZoneOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var keyValues: KeyValueOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var prefixCache: PrefixCacheOptions
    @OptionGroup var output: OutputOptions
}

/// A pipeline with the options of the command line, and the runner made from them.
///
/// The command line overrides the pipeline, which overrides the environment.
struct PipelineSetup {
    private let file: PipelineFile
    private let options: PipelineOptions
    private let minAge: TimeArgument?

    /// - Throws: a usage error for an option that is wrong, before anything is opened.
    init(_ file: PipelineFile, _ options: PipelineOptions, minAge: TimeArgument?) throws {
        var file = file
        let select = options.select
        file.selection.since = select.since ?? file.selection.since
        file.selection.until = select.until ?? file.selection.until
        if !select.camera.isEmpty { file.selection.cameras = select.camera }
        _ = try select.selection(options.zone.zone())
        self.file = file
        self.options = options
        self.minAge = minAge
    }

    func searchModel(_ library: Library) throws -> PipelineSearchModel {
        let folder = try modelFolder()
        func named<Value>(_ body: () throws -> Value) throws -> Value {
            do { return try body() } catch { throw Failure(error, subject: folder) }
        }
        let settings = try options.model.settings(precision: file.precision, threads: file.limits.threads)
        return PipelineSearchModel(
            check: { try named { try Searcher.check(model: folder) } },
            searcher: Deferred {
                try named {
                    try Searcher(
                        model: folder, library: library, settings: settings, cancellation: Interruption.cancellation)
                }
            })
    }

    /// - Parameter standardMinimumAge: seconds without a change after which a file is taken, if nothing sets it.
    func indexOptions(standardMinimumAge: Double = 0) throws -> IndexOptions {
        var indexing = try options.sampling.options(in: file.sampling)
        indexing.minimumAge =
            try minAge?.seconds ?? file.sampling.minimumAge
            ?? OptionName.minAge.environmentValue(TimeArgument.self)?.seconds ?? standardMinimumAge
        indexing.clock = try options.clock.settings(options.zone, in: file.clock)
        return indexing
    }

    /// The model's identity on this machine, read without loading weights.
    ///
    /// - Throws: `Failure` if there is no such model, or it is none that indexes.
    func identity() throws -> ModelIdentity {
        guard let identity = try options.model.identity(or: file.model, precision: file.precision) else {
            throw Failure(
                code: "unsupported_model",
                message: "\(try modelFolder()): not a model that indexes recordings", exitCode: Exit.model)
        }
        return identity
    }

    /// The model's folder as given.
    func modelFolder() throws -> String { try options.model.folder(or: file.model) }

    func prefixCachePolicy() throws -> PrefixCache.Policy { try options.prefixCache.policyOfQuestions() }

    func loadModel() throws -> LoadedModel {
        try options.model.load(
            or: file.model, precision: file.precision, keyValues: (options.keyValues, file.keyValues),
            threads: file.limits.threads)
    }

    /// - Parameter standardMinimumAge: as of `indexOptions`.
    func runner(
        deadline: ContinuousClock.Instant?, standardMinimumAge: Double = 0, settings: PipelineRunSettings
    ) throws -> PipelineRunner {
        let policy = try prefixCachePolicy()
        var indexing = try indexOptions(standardMinimumAge: standardMinimumAge)
        indexing.deadline = deadline
        if let nice = file.limits.nice, nice > 0 { ProcessPriority.lower(by: nice) }
        let identity = try options.model.identity(or: file.model, precision: file.precision)
        let library = try options.library.open(cacheMax: file.limits.cacheMax)
        for note in identity?.notes ?? [] { options.output.note("note: \(Console.name(note))") }
        let analyzer = Deferred {
            Analyzer(
                model: try loadModel(),
                library: library, prefixCache: policy, cancellation: Interruption.cancellation)
        }
        return PipelineRunner(
            file, library: library, analyzer: analyzer, searchModel: try searchModel(library), options: indexing,
            settings: settings, cancellation: Interruption.cancellation
        ) { [indexing] files in
            // Files whose index is up to date are skipped. Without an identity the model must be loaded, which reports
            // the error.
            guard let identity else { return [:] }
            return try KnownFiles(library, model: identity, options: indexing, files: files.count).unchanged(files)
        }
    }
}
