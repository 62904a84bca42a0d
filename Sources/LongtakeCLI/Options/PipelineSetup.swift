import Longtake

/// The options of a command that runs pipelines, and the runner made from them.
///
/// The command line overrides the pipeline, which overrides the environment.
struct PipelineSetup {
    private let file: PipelineFile
    let sampling: SamplingOptions
    let clock: ClockOptions
    let zone: ZoneOptions
    let minAge: TimeArgument?
    let model: ModelOptions
    let keyValues: KeyValueOptions
    let library: LibraryOptions
    let prefixCache: PrefixCacheOptions
    let output: OutputOptions

    /// - Parameter select: overrides what the file selects.
    init(
        file: PipelineFile, select: SelectionOptions, sampling: SamplingOptions, clock: ClockOptions, zone: ZoneOptions,
        minAge: TimeArgument?, model: ModelOptions, keyValues: KeyValueOptions, library: LibraryOptions,
        prefixCache: PrefixCacheOptions, output: OutputOptions
    ) throws {
        var file = file
        file.selection.since = select.since ?? file.selection.since
        file.selection.until = select.until ?? file.selection.until
        if !select.camera.isEmpty { file.selection.cameras = select.camera }
        // An option that is wrong is named before anything is opened.
        _ = try select.selection(zone.zone())
        self.file = file
        self.sampling = sampling
        self.clock = clock
        self.zone = zone
        self.minAge = minAge
        self.model = model
        self.keyValues = keyValues
        self.library = library
        self.prefixCache = prefixCache
        self.output = output
    }

    private func searchModel(_ library: Library) throws -> PipelineSearchModel {
        let folder = try model.folder(or: file.model)
        func named<Value>(_ body: () throws -> Value) throws -> Value {
            do { return try body() } catch { throw Failure(error, subject: folder) }
        }
        let settings = try model.settings(precision: file.precision, threads: file.limits.threads)
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
    func runner(
        deadline: ContinuousClock.Instant?, standardMinimumAge: Double = 0, settings: PipelineRunSettings
    ) throws -> PipelineRunner {
        let policy = try prefixCache.policyOfQuestions()
        var options = try sampling.options(in: file.sampling)
        options.minimumAge =
            try minAge?.seconds ?? file.sampling.minimumAge
            ?? OptionName.minAge.environmentValue(TimeArgument.self)?.seconds ?? standardMinimumAge
        options.deadline = deadline
        options.clock = try clock.settings(zone, in: file.clock)
        if let nice = file.limits.nice, nice > 0 { ProcessPriority.lower(by: nice) }
        let identity = try model.identity(or: file.model, precision: file.precision)
        let library = try library.open(cacheMax: file.limits.cacheMax)
        for note in identity?.notes ?? [] { output.note("note: \(Console.name(note))") }
        let analyzer = Deferred {
            Analyzer(
                model: try model.load(
                    or: file.model, precision: file.precision, keyValues: (keyValues, file.keyValues),
                    threads: file.limits.threads),
                library: library, prefixCache: policy, cancellation: Interruption.cancellation)
        }
        return PipelineRunner(
            file, library: library, analyzer: analyzer, searchModel: try searchModel(library), options: options,
            settings: settings,
            cancellation: Interruption.cancellation
        ) { [options] files in
            // Files whose index is up to date are skipped. Without an identity the model must be loaded, which reports
            // the error.
            guard let identity else { return [:] }
            return try KnownFiles(library, model: identity, options: options, files: files.count).unchanged(files)
        }
    }
}
