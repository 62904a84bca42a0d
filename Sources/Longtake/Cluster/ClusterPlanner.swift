internal import Foundation
internal import Glibc
internal import Media
internal import Store

/// Makes the plan of a run that several machines share.
package struct ClusterPlanner {
    private let path: String
    private let text: String
    private let environment: [String: String]
    /// The pipeline.
    package let file: PipelineFile

    /// Reads a pipeline.
    ///
    /// - Throws: `LongtakeError` `bad_pipeline`; `interrupted`.
    package init(pipeline path: String, cancellation: Cancellation) throws {
        self.path = InputPath(path).absolute.description
        text = try PipelineFile.text(of: path, cancellation)
        environment = Self.environment(for: text, ProcessInfo.processInfo.environment)
        file = try PipelineFile(path: self.path, text: text, environment: environment, cancellation: cancellation)
    }

    /// The variables that a pipeline's text refers to, and the home folder.
    static func environment(for text: String, _ all: [String: String]) -> [String: String] {
        all.filter { $0.key == "HOME" || text.contains("${" + $0.key) }
    }

    /// Hash of everything that a machine's options and environment change of the results.
    static func settings(_ options: IndexOptions, _ identity: ModelIdentity, _ file: PipelineFile) -> String {
        var options = options
        (options.deadline, options.minimumAge) = (nil, 0)
        let fields = [
            IndexSettings(options, identity).signature, options.keep?.rawValue ?? "", "\(options.clock)",
            "\(options.decodeThreads)", "\(options.watchdog)",
        ]
        return ContentHash.sha256(Array(fields.joined(separator: "\n").utf8))
    }

    /// What a plan is made from besides the pipeline.
    package struct Request {
        /// Number of shards that index, and at most as many that ask.
        package var shards = 1
        /// Frames in a unit of a long recording.
        package var framesPerUnit = ClusterBalance.framesPerUnit
        /// Seconds of one machine per frame; nil if unknown.
        package var secondsPerFrame: Double?

        /// A request for one shard.
        package init() {}
    }

    /// Makes the plan and writes it to `folder`, which is created.
    ///
    /// The recordings are those that a run of the pipeline would index. The same plan again changes nothing.
    /// - Parameters:
    ///   - runner: knows what is indexed already.
    ///   - model: the model's folder as given, with its identity.
    ///   - skipped: gets recordings that are left out, with the reason.
    /// - Returns: nil if no recording is to be indexed.
    /// - Throws: `Failure` `other_plan` if the folder has another plan; `StoreError`.
    package func plan(
        _ request: Request, runner: PipelineRunner, walker: InputWalker, model: (path: String, identity: ModelIdentity),
        options: IndexOptions, program: String, folder: String, skipped: (InputPath, Failure) -> Void
    ) throws -> ClusterPlan? {
        let folder = InputPath(folder).absolute.description
        let settings = Self.settings(options, model.identity, file)
        let pending = try runner.newFiles(walker, skipped: skipped)
        guard !pending.isEmpty else { return nil }
        let ids = Key(pipeline: text, environment: environment, model: model.identity.hash, settings: settings)
        var (index, ask): ([ClusterUnit], [ClusterUnit]) = ([], [])
        for (number, one) in pending.enumerated() {
            let ranges = ClusterBalance.ranges(
                frames: one.frames, unit: request.framesPerUnit, segment: IndexWriter.framesPerSegment)
            let frames = Double(one.frames ?? request.framesPerUnit)
            let parts = ranges.map { range in
                ClusterUnit(
                    key: ids.index(one, range), kind: .index, number, one, first: range.first, end: range.end,
                    cost: max(1, (range.end.map(Double.init) ?? frames) - Double(range.first)), parts: nil)
            }
            index += parts
            guard !file.onlyQuestions.questions.isEmpty else { continue }
            ask.append(
                ClusterUnit(
                    key: ids.ask(one, parts.map(\.key)), kind: .ask, number, one, first: 0, end: nil,
                    // What a question costs depends on the model; a tenth of the frames is a guess that only balances.
                    cost: 1 + frames * 0.1, parts: parts.map(\.key)))
        }
        var lines: [UInt8] = []
        var shards: [ClusterPlan.Shard] = []
        for units in [index, ask] where !units.isEmpty {
            for bin in ClusterBalance.assign(units.map(\.cost), shards: request.shards) {
                let text = try bin.reduce(into: [UInt8]()) { $0 += Array((try JSONText.line(units[$1]) + "\n").utf8) }
                shards.append(
                    ClusterPlan.Shard(
                        kind: units[0].kind, units: bin.count, cost: bin.reduce(0) { $0 + units[$1].cost },
                        offset: lines.count, bytes: text.count, checksum: ContentHash.sha256(text)))
                lines += text
            }
        }
        let id = "cluster_" + ContentHash.sha256(Array((ids.text + "\n" + program).utf8) + lines).prefix(16)
        let plan = ClusterPlan(
            format: ClusterPlan.format, id: id, program: program, created: Date().formatted(.iso8601),
            pipeline: .init(path: path, text: text, environment: environment),
            model: .init(path: model.path, name: model.identity.name, hash: model.identity.hash), settings: settings,
            recordings: pending.count, secondsPerFrame: request.secondsPerFrame, shards: shards)
        return try Self.write(plan, lines, to: folder)
    }

    private static func write(_ plan: ClusterPlan, _ lines: [UInt8], to folder: String) throws -> ClusterPlan {
        if access(folder + "/run.json", F_OK) == 0 {
            let known = try ClusterRun(path: folder, program: plan.program).plan
            guard known.id == plan.id else {
                throw Failure(
                    code: "other_plan",
                    message:
                        "\(folder) has the plan of another run, \(known.id) of \(known.pipeline.path); give a new folder",
                    exitCode: Exit.usage)
            }
            return known
        }
        do {
            for name in ["", "/published", "/failed", "/attempts", "/logs"] {
                try FileManager.default.createDirectory(
                    atPath: folder + name, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            }
        } catch {
            throw Failure(
                code: "io", message: "\(folder): cannot be created: \(Failure(error).message)", exitCode: Exit.space)
        }
        try SharedFile.replace(folder + "/units.jsonl", with: lines)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        // The plan comes last: a folder with it is complete.
        try SharedFile.replace(folder + "/run.json", with: Array(try encoder.encode(plan)) + [0x0A])
        return plan
    }

    /// Names results by everything they depend on.
    private struct Key {
        let text: String
        private let settings: String

        init(pipeline: String, environment: [String: String], model: String, settings: String) {
            let variables = environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            self.settings = settings
            text = ([settings, model, pipeline] + variables).joined(separator: "\n")
        }

        private func hash(_ fields: [String]) -> String {
            String(ContentHash.sha256(Array(fields.joined(separator: "\n").utf8)).prefix(32))
        }

        private func file(_ one: NewFile) -> String {
            "\(Data(one.path.absolute.bytes).base64EncodedString()) \(one.fingerprint.size) \(one.fingerprint.modified)"
        }

        func index(_ one: NewFile, _ range: (first: Int, end: Int?)) -> String {
            hash(["index", settings, file(one), "\(range.first)", range.end.map { "\($0)" } ?? ""])
        }

        func ask(_ one: NewFile, _ parts: [String]) -> String {
            hash(["ask", text, file(one)] + parts)
        }
    }
}

extension ClusterUnit {
    fileprivate init(
        key: String, kind: Kind, _ number: Int, _ file: NewFile, first: Int, end: Int?, cost: Double, parts: [String]?
    ) {
        let path = file.path.absolute
        self.init(
            key: key, kind: kind, number: number, path: path.description, pathBase64: path.base64,
            size: file.fingerprint.size,
            modified: file.fingerprint.modified, first: first, end: end, cost: cost, parts: parts)
    }
}

/// A recording that a run would index.
struct NewFile {
    let path: InputPath
    let fingerprint: FileFingerprint
    /// Expected number of frames; nil if the container has no duration.
    let frames: Int?
}

extension PipelineRunner {
    /// The recordings that a run would index, in its order; nothing is decoded.
    func newFiles(_ walker: InputWalker, skipped: (InputPath, Failure) -> Void) throws -> [NewFile] {
        try select()
        let known = try known(walker.files)
        let pauses = try PipelineHistory.Pauses(file, library.catalog)
        let now = Int64(Glibc.time(nil))
        var found: [NewFile] = []
        for path in try sorted(walker.files, known) where known[path] == nil {
            try cancellation.check()
            if !settings.retriesFailed, let pause = pauses.pause(of: path, now: now) {
                skipped(path, pause)
                continue
            }
            let recording = Recording(path)
            defer { recording.close() }
            do {
                let opened = try recording.open(cancellation)
                try options.checkAge(opened)
                let info = try recording.probe(options.request(.probe), cancellation).info
                if let fault = file.input(of: path)?.lengthFault(info.duration, path) {
                    skipped(path, fault)
                    continue
                }
                found.append(
                    NewFile(
                        path: path, fingerprint: opened.fingerprint,
                        frames: options.frameCount(info).map { min(options.maxFrames, $0) }))
            } catch {
                let failure = Failure(error, subject: path.description)
                if failure.exitCode == Exit.interrupted { throw failure }
                guard failure.code != LongtakeError.Code.growing.rawValue,
                    failure.code != MediaError.Code.cannotRead.rawValue,
                    let fingerprint = FileFingerprint(path: path.absolute.bytes)
                else {
                    skipped(path, failure)
                    continue
                }
                // A worker finds out why, and the run that collects says it.
                found.append(NewFile(path: path, fingerprint: fingerprint, frames: nil))
            }
        }
        return found
    }
}

extension ClusterRun {
    /// The plan's pipeline.
    ///
    /// - Throws: `LongtakeError` `bad_pipeline`.
    package func pipeline(_ cancellation: Cancellation) throws -> PipelineFile {
        try PipelineFile(
            path: plan.pipeline.path, text: plan.pipeline.text, environment: plan.pipeline.environment,
            cancellation: cancellation)
    }

    /// Checks that this machine would compute the same.
    ///
    /// - Throws: `Failure` `other_model`, `other_settings`.
    func check(_ identity: ModelIdentity, _ settings: String) throws {
        guard identity.hash == plan.model.hash else {
            throw Failure(
                code: "other_model",
                message: "\(path): planned for the model \(plan.model.name) at \(plan.model.path); the bytes of "
                    + "\(identity.name) on this machine are others", exitCode: Exit.model, remedy: .model)
        }
        guard settings == plan.settings else {
            throw Failure(
                code: "other_settings",
                message: "\(path): this machine's settings differ from the plan's; compare the environment variables "
                    + "(LONGTAKE_…, TZ) with those of the machine that made the plan", exitCode: Exit.usage)
        }
    }
}
