import ArgumentParser
import Longtake

struct ClusterPlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Divide what a run of a pipeline would index into shards.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cluster plan nightly.yaml --shards 8 --run /shared/tonight

            Long recordings are divided into units of whole segments. The plan is frozen: the pipeline's text, the model's \
            identity and the files as they are now. Nothing is decoded.
            """))

    @Argument(help: "The pipeline's YAML file.", completion: .file(extensions: ["yaml", "yml"]))
    var pipeline: String

    @Option(help: "Number of shards that index, and at most as many that ask.")
    var shards: Int

    @Option(help: "Frames in a unit of a long recording, a multiple of 600.")
    var unitFrames = ClusterBalance.framesPerUnit

    @Option(help: "Seconds that one machine takes per frame, for time limits.")
    var secondsPerFrame: Double?

    @OptionGroup var inputs: InputOptions
    @OptionGroup var folder: ClusterRunOptions
    @OptionGroup var library: LibraryOptions
    @OptionGroup var setup: ClusterSetupOptions

    func validate() throws {
        guard (1...1_000_000).contains(shards) else { throw ValidationError("--shards must be 1 to 1000000") }
        guard unitFrames >= 600, unitFrames % 600 == 0, unitFrames <= 10_000_000 else {
            throw ValidationError("--unit-frames must be a multiple of 600, from 600 to 9999600")
        }
        guard secondsPerFrame.map({ $0 > 0 && $0 <= 1e6 }) ?? true else {
            throw ValidationError("--seconds-per-frame must be more than 0 and at most 1e6")
        }
    }

    private struct Line: Encodable {
        let message_type = "plan"
        let id: String
        let run: String
        let recordings: Int
        let units: Int
        let shards: Int
        let frames: Double
    }

    mutating func run() throws {
        StatusSignal.answer()
        let planner = try ClusterPlanner(pipeline: pipeline, cancellation: Interruption.cancellation)
        let commands = try setup.setup(planner.file, library: library)
        let walker = try inputs.walk(planner.file, setup.output)
        var request = ClusterPlanner.Request()
        (request.shards, request.framesPerUnit) = (shards, unitFrames)
        request.secondsPerFrame = secondsPerFrame
        let plan = try planner.plan(
            request, runner: commands.runner(deadline: nil, settings: PipelineRunSettings()), walker: walker,
            model: (commands.modelFolder(), commands.identity()), options: commands.indexOptions(),
            program: Version.text, folder: folder.run
        ) { setup.output.warn("\(Console.name($0.description)): skipped: \(Console.name($1.message))") }
        guard let plan else {
            return setup.output.note("\(Console.name(pipeline)): no recording is to be indexed, so there is no plan")
        }
        let line = Line(
            id: plan.id, run: folder.run, recordings: plan.recordings,
            units: plan.shards.reduce(0) { $0 + $1.units }, shards: plan.shards.count,
            frames: plan.shards(of: .index).reduce(0) { $0 + plan.shards[$1].cost })
        if setup.output.json { return Console.json(line) }
        guard !setup.output.isQuiet else { return Console.line(plan.id) }
        Console.line(
            "\(plan.id): \(counted(plan.recordings, "recording")), about \(Int(saturating: line.frames)) frames, "
                + "\(counted(line.units, "unit")) in \(counted(line.shards, "shard"))")
        let (index, ask) = (plan.shards(of: .index), plan.shards(of: .ask))
        Console.line(
            "shards \(index.lowerBound) to \(index.upperBound - 1) index"
                + (ask.isEmpty ? "" : "; \(ask.lowerBound) to \(ask.upperBound - 1) ask, when those are done"))
    }
}
