internal import Foundation
internal import Glibc
internal import Media
internal import Store

/// Does the units of one shard: the only thing that an engine starts, on any machine.
///
/// Works in a scratch folder of its own and publishes each result at once; what is published already is skipped, and an
/// interrupted unit is continued by the next worker on the same machine. Not thread-safe.
package final class ClusterWorker {
    /// What happens to a unit.
    package enum Event {
        case started(ClusterUnit, number: Int, of: Int)
        case progress(ClusterUnit, IndexProgress)
        case published(ClusterUnit, seconds: Double)
        /// Another worker published it meanwhile.
        case lostRace(ClusterUnit)
        /// It can never be done; the reason is recorded.
        case failed(ClusterUnit, Failure)
    }

    /// What a worker did.
    package struct Summary: Sendable, Encodable {
        private let messageType = "summary"
        /// Number of the shard.
        package let shard: Int
        /// Units that this worker published.
        package var published = 0
        /// Units that others had published or recorded as failed.
        package var skipped = 0
        /// Units that can never be done.
        package var failed = 0

        fileprivate init(shard: Int) { self.shard = shard }

        private enum CodingKeys: String, CodingKey {
            case messageType = "message_type"
            case shard, published, skipped, failed
        }
    }

    private let run: ClusterRun
    private let file: PipelineFile
    private let options: IndexOptions
    private let model: Deferred<LoadedModel>
    private let search: (Library) throws -> PipelineSearchModel
    private let prefixCache: PrefixCache.Policy
    private let scratch: String
    private let cancellation: Cancellation

    /// A worker for a run.
    ///
    /// - Parameters:
    ///   - file: the plan's pipeline, see `ClusterRun.pipeline`.
    ///   - identity: the model's identity on this machine.
    ///   - scratch: a folder on this machine's disk; what a killed worker left there is continued.
    ///   - search: makes the model for text searches in a library.
    ///   - prefixCache: as of a run on one machine: the last bits of a sum may depend on it.
    /// - Throws: `Failure` `other_model`, `other_settings`, `clocks_apart`, `storage`.
    package init(
        _ run: ClusterRun, file: PipelineFile, options: IndexOptions, identity: ModelIdentity,
        model: Deferred<LoadedModel>, search: @escaping (Library) throws -> PipelineSearchModel,
        prefixCache: PrefixCache.Policy, scratch: String,
        cancellation: Cancellation
    ) throws {
        self.run = run
        self.file = file.onlyQuestions
        self.options = options
        self.model = model
        self.search = search
        self.prefixCache = prefixCache
        self.scratch = InputPath(scratch).absolute.description + "/longtake-" + run.plan.id
        self.cancellation = cancellation
        try run.check(identity, ClusterPlanner.settings(options, identity, file))
        try run.checkClock()
    }

    /// Does a shard's units, in order.
    ///
    /// - Throws: `Failure` with the exit status `Exit.retry` if the rest cannot be done here and now; the units that were
    ///   published stay.
    package func work(shard: Int, event: (Event) -> Void) throws -> Summary {
        let units = try run.units(ofShard: shard)
        var summary = Summary(shard: shard)
        try run.note("start", shard: shard)
        do {
            try FileManager.default.createDirectory(
                atPath: scratch, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw stopped(Failure(error), shard: shard, unit: nil)
        }
        for (number, unit) in units.enumerated() {
            guard !run.isSettled(unit.key) else {
                summary.skipped += 1
                continue
            }
            event(.started(unit, number: number + 1, of: units.count))
            let start = ContinuousClock.now
            do {
                try cancellation.check()
                let result = try perform(unit) { event(.progress(unit, $0)) }
                let seconds = (ContinuousClock.now - start).seconds
                try run.note(result.rawValue, shard: shard, unit: unit, seconds: seconds)
                switch result {
                case .published:
                    summary.published += 1
                    event(.published(unit, seconds: seconds))
                case .lostRace:
                    summary.skipped += 1
                    event(.lostRace(unit))
                }
            } catch {
                let failure = Failure(error, subject: unit.path)
                guard Self.isPermanent(failure) else { throw stopped(failure, shard: shard, unit: unit) }
                do {
                    try run.fail(unit, failure)
                    try run.note("failed", shard: shard, unit: unit, message: "\(failure.code): \(failure.message)")
                } catch {
                    throw stopped(Failure(error), shard: shard, unit: unit)
                }
                try? FileManager.default.removeItem(atPath: folder(of: unit))
                summary.failed += 1
                event(.failed(unit, failure))
            }
        }
        try run.note("done", shard: shard)
        return summary
    }

    /// Whether the same would happen on any machine at any time.
    static func isPermanent(_ failure: Failure) -> Bool {
        // The machine that made the plan could read the recording, so its storage may be back later.
        guard ![MediaError.Code.cannotRead, .decoderStuck].map(\.rawValue).contains(failure.code) else { return false }
        return [Exit.input, Exit.refused].contains(failure.exitCode)
            || ["part_failed", LongtakeError.Code.badRequest.rawValue].contains(failure.code)
    }

    /// The error that ends a worker whose unit another one is to do.
    private func stopped(_ failure: Failure, shard: Int, unit: ClusterUnit?) -> Failure {
        let stopped = Failure(
            code: failure.code,
            message: "\(failure.message); nothing of what is published is lost: run shard \(shard) again"
                + (failure.exitCode == Exit.interrupted ? "" : ", here or elsewhere"),
            exitCode: Exit.retry)
        try? run.note("stopped", shard: shard, unit: unit, message: "\(failure.code): \(failure.message)")
        return stopped
    }

    private func folder(of unit: ClusterUnit) -> String { scratch + "/" + unit.key }

    private func perform(_ unit: ClusterUnit, progress: (IndexProgress) -> Void) throws -> ClusterRun.Published {
        let folder = folder(of: unit)
        let library = try Library(cachePath: folder + "/cache", dataPath: folder + "/data")
        let published: ClusterRun.Published
        switch unit.kind {
        case .index: published = try index(unit, library, folder, progress)
        case .ask: published = try ask(unit, library, folder)
        }
        try? FileManager.default.removeItem(atPath: folder)
        return published
    }

    private func index(
        _ unit: ClusterUnit, _ library: Library, _ folder: String, _ progress: (IndexProgress) -> Void
    ) throws -> ClusterRun.Published {
        let recording = Recording(unit.input)
        defer { recording.close() }
        let opened = try recording.open(cancellation)
        guard opened.size == unit.size, opened.modified == unit.modified else {
            throw Failure(
                code: "changed", message: "\(unit.path): changed since the plan was made; make a new plan",
                exitCode: Exit.input)
        }
        let model = try model.get()
        let indexer = try Indexer(model, library: library, options: options, cancellation: cancellation)
        let part = try indexer.part(of: recording, first: unit.first, end: unit.end, progress: progress)
        try cancellation.check()
        let result = ClusterPart(manifest: part.manifest, row: part.row, isFull: part.isFull, frames: part.files.frames)
        try result.write(to: part.files.folder)
        return try run.publish(part.files.names + [ClusterPart.name], in: part.files.folder, as: unit)
    }

    private func ask(_ unit: ClusterUnit, _ library: Library, _ folder: String) throws -> ClusterRun.Published {
        let parts = try ClusterParts(run, keys: unit.parts ?? [], name: unit.path)
        try library.assemble(parts)
        let analyzer = Deferred { [model, prefixCache, cancellation] in
            Analyzer(model: try model.get(), library: library, prefixCache: prefixCache, cancellation: cancellation)
        }
        let runner = PipelineRunner(
            file, library: library, analyzer: analyzer, searchModel: try search(library), options: options,
            settings: run.settings,
            cancellation: cancellation
        ) { [options, model] files in
            try KnownFiles(library, model: ModelIdentity(model.get()), options: options).unchanged(files)
        }
        // A question that cannot be answered is left to the run that collects, which says so.
        var failure: Failure?
        _ = try runner.run(InputWalker([unit.input])) {
            if case .failed(_, let reason) = $0 { failure = reason }
        }
        if let failure { throw failure }
        let rows = try library.catalog.answers(pipeline: file.identity)
        try ClusterAnswers(rows: rows).write(to: folder)
        return try run.publish([ClusterAnswers.name], in: folder, as: unit)
    }
}
