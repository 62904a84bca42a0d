import ArgumentParser
import Foundation
import Longtake

struct ClusterSubmitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "Let an engine start the workers of a cluster run.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cluster submit --run /shared/tonight --engine slurm --jobs 40 --memory 24G --scratch /tmp

            Slurm gets array jobs (sbatch), Ray a job with a driver (its REST interface), and local runs the workers here \
            with GNU parallel or xargs until all have ended. Only shards with open units are submitted: the same again \
            after a failure does what is left, and after success nothing.

            Exit status 3: with local or --follow, units are left. 64: an engine's program is missing, or the run is \
            submitted already. 75: the engine refused or did not answer.
            """))

    @Option(help: "slurm, local or ray.", completion: .list(ClusterEngineOptions.engines))
    var engine: String

    @Flag(help: "Print what would be written and run; submit nothing.")
    var dryRun = false

    @Flag(help: "Wait until the engine is done, and show what is published.")
    var follow = false

    @Flag(help: "When all have ended, collect on a machine of the engine, into the library of this environment.")
    var thenCollect = false

    @Option(help: "Slurm's partition.")
    var partition: String?

    @Option(help: "Largest size of an array of Slurm; by default its MaxArraySize.")
    var arraySize: Int?

    @Option(help: "Address of Ray's dashboard: http://host:8265, the one of this machine by default.")
    var address: String?

    @OptionGroup var folder: ClusterRunOptions
    @OptionGroup var options: ClusterEngineOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard arraySize.map({ (1...4_000_001).contains($0) }) ?? true else {
            throw ValidationError("--array-size must be 1 to 4000001")
        }
    }

    private struct Line: Encodable {
        let message_type = "submission"
        let engine: String
        let run: String
        let shards: Int
        let jobs: [String]
    }

    mutating func run() throws {
        StatusSignal.answer()
        let run = try folder.open()
        var request = try options.request(run)
        (request.partition, request.arraySize, request.address) = (partition, arraySize, address)
        if thenCollect { request.collect = try collect(request, run) }
        let engine = try ClusterEngineOptions.engine(engine, run, request)
        let shards = try run.openShards()
        if dryRun {
            guard shards > 0 else { return nothing(run) }
            return Console.result(try engine.preview())
        }
        guard try run.submit(to: engine, { try ClusterEngineOptions.engine($0, run) }) else { return nothing(run) }
        let jobs = run.submission?.jobs ?? []
        if output.json {
            Console.json(Line(engine: engine.name, run: run.path, shards: shards, jobs: jobs))
        } else if engine.name != LocalEngine.name {
            Console.line(
                "\(counted(shards, "shard")) submitted to \(engine.name)"
                    + (jobs.isEmpty ? "" : " as \(jobs.joined(separator: ", "))"))
        }
        guard follow || engine.name == LocalEngine.name else { return }
        try wait(run, engine)
    }

    private func nothing(_ run: ClusterRun) {
        if output.json { return Console.json(Line(engine: engine, run: run.path, shards: 0, jobs: [])) }
        Console.line("nothing to submit: every unit is published, or recorded as one that cannot be done")
    }

    private func collect(_ request: ClusterRequest, _ run: ClusterRun) throws -> [String] {
        var words = [request.worker[0], "cluster", "collect", "--run", run.path]
        for (name, typed) in [(OptionName.cacheDir, library.cacheDir), (.dataDir, library.dataDir)] {
            if let folder = try name.value(typed) { words += [name.option, InputPath(folder).absolute.description] }
        }
        if let place = request.worker.firstIndex(of: "--model") { words += request.worker[place...(place + 1)] }
        return words
    }

    /// Waits for the engine; what is published counts, not what it says.
    private func wait(_ run: ClusterRun, _ engine: any ClusterEngine) throws {
        let progress = output.progress
        var quiet = 0
        var counts = try counts(run)
        while counts.settled < counts.units, quiet < 3, engine.name != LocalEngine.name {
            progress.show("\(counts.settled) of \(counted(counts.units, "unit")) done")
            for _ in 0..<20 {
                usleep(100_000)
                try Interruption.check()
            }
            let isActive = run.submission.map { (try? engine.state(of: $0).isActive) ?? true } ?? false
            // Slurm needs some seconds to list what it has accepted; a controller that is away is waited for.
            quiet = isActive ? 0 : quiet + 1
            counts = try self.counts(run)
        }
        progress.clear()
        if !output.json {
            Console.line("\(counts.settled) of \(counted(counts.units, "unit")) done")
            if counts.settled < counts.units {
                output.note("the workers' output is in \(run.path)/logs; submitting again does what is left")
            }
        }
        if counts.settled < counts.units { throw ExitCode(Exit.partial) }
    }

    private func counts(_ run: ClusterRun) throws -> (units: Int, settled: Int) {
        try run.plan.shards.indices.reduce(into: (0, 0)) { sum, shard in
            let state = try run.state(ofShard: shard)
            sum = (sum.0 + state.units, sum.1 + state.published + state.failed)
        }
    }
}

struct ClusterCancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "End the workers of a cluster run.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cluster cancel --run /shared/tonight

            The workers keep what they have: what is published stays, and submitting again goes on from there.
            """))

    @OptionGroup var folder: ClusterRunOptions
    @OptionGroup var output: OutputOptions

    private struct Line: Encodable {
        let message_type = "canceled"
        let engine: String
        let run: String
    }

    mutating func run() throws {
        let run = try folder.open()
        guard let canceled = try run.cancel({ try ClusterEngineOptions.engine($0, run) }) else {
            throw Failure(
                code: "not_submitted", message: "\(run.path): was not submitted to an engine", exitCode: Exit.noCache)
        }
        if output.json { return Console.json(Line(engine: canceled.engine, run: run.path)) }
        output.note("\(run.plan.id): canceled; what is published stays")
    }
}
