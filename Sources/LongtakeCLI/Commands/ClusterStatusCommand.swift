import ArgumentParser
import Longtake

struct ClusterStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show what is published of a cluster run.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cluster status --run /shared/tonight

            Counts what is in the run's folder; an engine need not be there. The exit status is 3 while units are open.
            """))

    @OptionGroup var folder: ClusterRunOptions
    @OptionGroup var output: OutputOptions

    private struct Shard: Encodable {
        let message_type = "shard"
        let shard: Int
        let kind: String
        let units: Int
        let published: Int
        let failed: Int
        let attempts: Int
        let last: String?
    }

    private struct Engine: Encodable {
        let message_type = "engine"
        let engine: String
        let submitted: String
        let state: String
        let jobs: [String]
        let active: Bool?
        let text: String
    }

    /// What the engine says, if the run was submitted to one; it need not be reachable from here.
    private func showEngine(_ run: ClusterRun) {
        guard let submission = run.submission else { return }
        var (active, text): (Bool?, String) = (nil, "")
        do {
            let state = try ClusterEngineOptions.engine(submission.engine, run).state(of: submission)
            (active, text) = (state.isActive, state.text)
        } catch {
            text = Failure(error).message
        }
        if output.json {
            Console.jsonLine(
                Engine(
                    engine: submission.engine, submitted: submission.time, state: submission.state.rawValue,
                    jobs: submission.jobs, active: active, text: text))
        } else if !output.isQuiet {
            Console.line(
                "\(submission.engine), \(submission.state.rawValue) (since \(submission.time)): \(Console.name(text))")
        }
    }

    mutating func run() throws {
        let run = try folder.open()
        var (units, settled) = (0, 0)
        for number in run.plan.shards.indices {
            try Interruption.check()
            let state = try run.state(ofShard: number)
            units += state.units
            settled += state.published + state.failed
            if output.json {
                Console.jsonLine(
                    Shard(
                        shard: number, kind: run.plan.shards[number].kind.rawValue, units: state.units,
                        published: state.published, failed: state.failed, attempts: state.attempts, last: state.last))
            } else if !output.isQuiet {
                var line =
                    "shard \(number) (\(run.plan.shards[number].kind.rawValue)): \(state.published) of \(state.units) "
                    + "published"
                if state.failed > 0 { line += ", \(state.failed) failed" }
                if state.attempts > 1 { line += ", \(counted(state.attempts, "attempt"))" }
                if let last = state.last { line += "; \(last)" }
                Console.line(line)
            }
        }
        if !output.json { Console.line("\(settled) of \(counted(units, "unit")) done") }
        showEngine(run)
        if settled < units { throw ExitCode(Exit.partial) }
    }
}
