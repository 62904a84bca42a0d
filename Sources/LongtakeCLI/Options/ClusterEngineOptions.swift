import ArgumentParser
import Foundation
import Longtake

/// Options of the commands that hand a run to an engine.
struct ClusterEngineOptions: ParsableArguments {
    static let engines = ["slurm", "local", "ray"]

    @Option(help: "Folder of the model on the machines; by default the plan's.", completion: .directory)
    var model: String?

    @Option(help: "Folder on each machine's disk for unfinished work; by default $TMPDIR or /tmp.")
    var scratch: String?

    @Option(help: "Path of this program on the machines; by default that of this one.", completion: .file())
    var program: String?

    @Option(help: "Workers at once: by default as many as fit, with the engine local 1.")
    var jobs: Int?

    @Option(help: "Cores and compute threads of each worker.")
    var threads: Int?

    @Option(help: "Memory of each worker: 24G. By default the engine's.")
    var memory: String?

    @Option(
        help: "Time after which a worker is ended: 90m, 5h. By default twice what the plan expects, and 10 minutes.")
    var timeLimit: TimeArgument?

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp("After --: further options of the worker, such as --precision.", valueName: "option"))
    var worker: [String] = []

    func validate() throws {
        guard jobs.map({ (1...100_000).contains($0) }) ?? true else {
            throw ValidationError("--jobs must be 1 to 100000")
        }
        guard threads.map({ (1...1024).contains($0) }) ?? true else {
            throw ValidationError("--threads must be 1 to 1024")
        }
        guard timeLimit.map({ $0.seconds > 0 && $0.seconds <= 1e8 }) ?? true else {
            throw ValidationError("--time-limit must be more than 0 and at most 1e8 s")
        }
    }

    /// What engines are asked for.
    ///
    /// - Parameter program: of another machine; nil: as `self.program`.
    func request(_ run: ClusterRun, program other: String? = nil) throws -> ClusterRequest {
        guard let program = other ?? program ?? InstalledProgram.path else {
            throw UsageError("this program's file was replaced; name it with --program")
        }
        // A name without a slash is looked up in PATH there.
        let path = program.contains("/") ? InputPath(program).absolute.description : program
        let model = InputPath(model ?? run.plan.model.path).absolute.description
        var words = [path, "cluster", "worker", "--run", run.path, "--model", model]
        if let scratch { words += ["--scratch", InputPath(scratch).absolute.description] }
        if let threads { words += ["--threads", "\(threads)"] }
        words += worker + ["--no-progress", "--shard"]
        var request = ClusterRequest(worker: words)
        (request.jobs, request.cores, request.timeLimit) = (jobs, threads, timeLimit?.seconds)
        if let memory { try request.set(memory: memory) }
        // What the plan's settings may depend on; a worker's folders are its own.
        request.environment = ProcessInfo.processInfo.environment.filter { name, _ in
            name == "TZ"
                || name.hasPrefix("LONGTAKE_")
                    && !["LONGTAKE_CACHE_DIR", "LONGTAKE_DATA_DIR", "LONGTAKE_MODEL"].contains(name)
        }
        return request
    }

    /// The engine of a name.
    static func engine(_ name: String, _ run: ClusterRun, _ request: ClusterRequest) throws -> any ClusterEngine {
        switch try Choice.check(name, "--engine", of: engines) {
        case "slurm": SlurmEngine(run, request)
        case "local": LocalEngine(run, request, cancellation: Interruption.cancellation)
        default: RayEngine(run, request, cancellation: Interruption.cancellation)
        }
    }

    /// The engine that a run was submitted to, to ask it or to end it.
    static func engine(_ name: String, _ run: ClusterRun) throws -> any ClusterEngine {
        try engine(name, run, ClusterRequest(worker: []))
    }
}
