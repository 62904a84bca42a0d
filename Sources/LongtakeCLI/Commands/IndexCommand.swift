import ArgumentParser
import Glibc
import Longtake

struct IndexCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "index", abstract: "Index recordings, so that questions about them take seconds.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake index day.mp4
              longtake index ~/Recordings --min-age 10m      a folder and its subfolders, without files still being written
              longtake index ~/Recordings --dry-run          print only the plan: frames, bytes, estimated time
              longtake index ~/cams --clock "{camera}/%Y-%m-%d/%H-%M-%S" --timezone Europe/Berlin
              ffmpeg … -f matroska - | longtake index -      from a pipe

            Files that are already indexed are skipped. If a file fails, the others are still indexed; the exit status is then 3.
            """))

    @Argument(help: "Video files, folders, or - for standard input.", completion: .file())
    var paths: [PathArgument] = []

    @OptionGroup var inputs: InputOptions

    @Flag(help: "Print the plan; index nothing.")
    var dryRun = false

    @Flag(help: "Index again even if already indexed.")
    var force = false

    @Flag(inversion: .prefixedNo, help: "Include subfolders.")
    var recursive = true

    @Option(.minAge, "Skip files changed within this time, since they may still be growing.")
    var minAge: TimeArgument?

    @Option(
        .record,
        "Precision of frame records: default (0.60 MB per frame at full size) or f32 (exact, four times that).",
        completion: .list(IndexOptions.records))
    var record: String?

    @Option(
        .keep,
        """
        patches (the default for a new index): keep the patches of every frame; an index without them is built again. \
        tokens: keep only those of a sample of at most 128 frames, 8 KB per frame at full size.
        """, completion: .list(IndexOptions.keeps))
    var keep: String?

    @Option(
        .cacheMax,
        """
        Maximum size of the cache: 500000000, 200G, 80% of the file system. The least recently asked indexes are removed \
        to stay below it.
        """, environmentNote: "else 80% of the free space at the first use")
    var cacheMax: String?

    @Option(
        help: ArgumentHelp(
            """
            When the recording started: 2026-11-29T04:00:00, also with Z or an offset; none forgets it. Also for a file that is \
            indexed already, without decoding it again.
            """, valueName: "time"))
    var startsAt: String?

    @Option(
        help: ArgumentHelp(
            "Name of the camera that made these recordings; by default the pattern's. Empty: forgets it.",
            valueName: "name"))
    var camera: String?

    @Option(.waitLock, "Wait this long if another process is writing the same index; 0 by default.")
    var waitLock: TimeArgument?

    @OptionGroup var clock: ClockOptions
    @OptionGroup var zone: ZoneOptions
    @OptionGroup var runtime: RuntimeOptions
    @OptionGroup var model: ModelOptions
    @OptionGroup var keyValues: KeyValueOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var prefixCache: PrefixCacheOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        var options = try sampling.options(record: record, keep: keep, waitLock: waitLock)
        options.deadline = try runtime.deadline()
        options.clock = try clockSettings()
        options.force = force
        let policy = try prefixCache.policy()
        options.minimumAge = try OptionName.minAge.value(minAge)?.seconds ?? 0
        StatusSignal.answer()
        guard !paths.isEmpty || inputs.hasList else {
            throw UsageError("no input: give files or folders, or a list of them with --files-from")
        }
        if inputs.readsStandardInput, paths.contains(where: \.path.isStandardInput) {
            throw UsageError("standard input cannot be both a recording and a list of files")
        }
        let walker = try inputs.walk(paths.map(\.path) + inputs.listed(), recursive: recursive, output)
        if startsAt != nil, walker.files.count > 1 {
            throw UsageError("--starts-at takes one recording, not \(walker.files.count): give --clock for several")
        }
        let identity = try model.identity()
        let library = try library.open(cacheMax: cacheMax)
        try keyValues.check()
        let (model, keyValues) = (model, keyValues)
        let analyzer = Deferred {
            Analyzer(
                model: try model.load(keyValues: (keyValues, nil)), library: library, prefixCache: policy,
                cancellation: Interruption.cancellation)
        }
        let report = IndexReport(output)
        for note in identity?.notes ?? [] { output.note("note: \(Console.name(note))") }
        // --prefix-cache now builds missing prefix caches, which needs the model, so no file is skipped here.
        var known: [InputPath: IndexedRecording] = [:]
        if let identity, policy != .now {
            let files = try KnownFiles(library, model: identity, options: options, files: walker.files.count)
            known = files.unchanged(walker.files)
        }
        var summary = BatchSummary()
        for (path, reason) in walker.unreadable {
            summary.filesFailed += 1
            report.show(
                .failed(
                    path: path.description,
                    Failure(code: "cannot_read", message: "\(path): cannot read: \(reason)", exitCode: Exit.input)))
        }
        if walker.linksSkipped > 0 {
            output.note("note: \(counted(walker.linksSkipped, "symbolic link")) inside folders not followed")
        }
        // The recordings of the plan, which indexing takes over.
        var opened: [InputPath: Recording] = [:]
        var frames: [InputPath: Int] = [:]
        // A pipe can be read only once, so it gets no plan.
        if !walker.files.contains(where: \.isStandardInput) || dryRun {
            let failure = try plan(walker.files, known, &opened, &frames, library, analyzer, options, report)
            if dryRun {
                // In JSON, the last line on standard error gives the outcome; in text it has already been printed.
                if let failure, walker.files.count == 1, output.json { throw failure }
                if let failure { throw ExitCode(walker.files.count == 1 ? failure.exitCode : Exit.partial) }
                return
            }
        }
        let start = ContinuousClock.now
        var last: Failure?
        do {
            let indexer = BatchIndexer(analyzer, options: options, known: known, opened: opened, frames: frames)
            _ = try indexer.run(walker.files, summary: &summary) { event in
                if case .failed(_, let failure) = event { last = failure }
                report.show(event)
            }
        } catch let failure as Failure where failure.exitCode == Exit.interrupted && output.json {
            summary.finish(seconds: Format.seconds(ContinuousClock.now - start))
            report.show(summary)
            throw failure
        }
        summary.finish(seconds: Format.seconds(ContinuousClock.now - start))
        report.show(summary)
        if let last, walker.files.count == 1 {
            // In JSON, the last line on standard error gives the outcome; in text it has already been printed.
            if output.json { throw last }
            throw ExitCode(last.exitCode)
        }
        if summary.isPartial { throw ExitCode(Exit.partial) }
    }

    private func clockSettings() throws -> ClockSettings {
        var settings = try clock.settings(zone)
        do {
            settings.start = try startsAt.map { try ClockSettings.start($0) }
            settings.camera = try camera.map { try ClockSettings.camera($0) }
        } catch let error as LongtakeError {
            throw UsageError(
                (startsAt != nil && settings.start == nil ? "--starts-at: " : "--camera: ") + error.message)
        }
        return settings
    }

    /// Maximum number of new files probed before the first is indexed; a dry run probes all.
    private static let plannedFiles = 100

    /// Prints the plan; returns the last failure if files cannot be read.
    private func plan(
        _ files: [InputPath], _ known: [InputPath: IndexedRecording], _ opened: inout [InputPath: Recording],
        _ frames: inout [InputPath: Int], _ library: Library, _ analyzer: Deferred<Analyzer>, _ options: IndexOptions,
        _ report: IndexReport
    ) throws -> Failure? {
        var plans: [IndexPlan] = []
        var failure: Failure?
        var probed = 0
        for file in files {
            try Interruption.check()
            if file.isStandardInput { throw UsageError("standard input has no plan: omit --dry-run") }
            if let known = known[file] {
                if dryRun { plans.append(try IndexPlan(known, library: library)) }
                continue
            }
            guard dryRun || probed < Self.plannedFiles else { break }
            probed += 1
            let analyzer = try analyzer.get()
            do {
                let recording = Recording(file)
                // Only one file stays open until it is indexed: a process may have few open files.
                defer { if dryRun || files.count > 1 { recording.close() } }
                if !dryRun { opened[file] = recording }
                // Print the figures even if the run will be refused because of them.
                let plan = try analyzer.plan(recording, options: options, sizes: dryRun || output.json)
                plans.append(plan)
                frames[file] = plan.indexed ? 0 : plan.frames
                if dryRun { _ = try analyzer.plan(recording, options: options, sizes: false, strict: true) }
            } catch let error as Failure {
                failure = error
                // Without --dry-run the failure is reported when the file's turn comes.
                if dryRun { report.show(.failed(path: file.description, error)) }
            }
        }
        let left = dryRun ? 0 : files.count - known.count - probed
        report.show(plans, known: dryRun ? 0 : known.count, left: left, isResult: dryRun)
        return failure
    }
}
