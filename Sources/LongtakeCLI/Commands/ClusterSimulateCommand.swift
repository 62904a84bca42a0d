import ArgumentParser
import Longtake

struct ClusterSimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Simulate a large run with machines that are lost.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cluster simulate --units 1000000 --nodes 1000 --loss-rate 0.01

            Distributes units over shards as plans do, and runs them on machines that are lost and come back. The bound is \
            the time in which the machines that were there could have done the units without any loss. The same seed gives \
            the same result.
            """))

    @Option(help: "Number of units.")
    var units = 1_000_000

    @Option(help: "Number of machines.")
    var nodes = 1000

    @Option(help: "Number of shards; 50 for each machine by default.")
    var shards: Int?

    @Option(help: "How often each machine is lost, per hour.")
    var lossRate = 0.01

    @Option(help: "Seconds of a full unit.")
    var unitSeconds = 900.0

    @Option(help: "Seconds from the engine's decision to the first unit of a shard.")
    var startSeconds = 5.0

    @Option(help: "Seconds until the engine notices a lost machine and starts its shard elsewhere.")
    var noticeSeconds = 150.0

    @Option(help: "Seconds until a lost machine is back.")
    var repairSeconds = 3600.0

    @Option(help: "Seed of the random numbers.")
    var seed: UInt64 = 1

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...100_000_000).contains(units), (1...1_000_000).contains(nodes) else {
            throw ValidationError("--units must be 1 to 100000000, --nodes 1 to 1000000")
        }
        guard shards.map({ (1...units).contains($0) }) ?? true else {
            throw ValidationError("--shards must be 1 to the number of units")
        }
        guard lossRate >= 0, lossRate <= 60, unitSeconds > 0, unitSeconds <= 1e9 else {
            throw ValidationError("--loss-rate must be 0 to 60, --unit-seconds more than 0")
        }
        guard [startSeconds, noticeSeconds, repairSeconds].allSatisfy({ $0 >= 0 && $0 <= 1e9 }) else {
            throw ValidationError("--start-seconds, --notice-seconds and --repair-seconds must be 0 to 1e9")
        }
    }

    private struct Line: Encodable {
        let message_type = "simulation"
        let makespan_seconds: Double
        let bound_seconds: Double
        let ratio: Double
        let losses: Int
        let redone_seconds: Double
        let starts: Int
        let imbalance: Double
    }

    mutating func run() throws {
        StatusSignal.answer()
        var settings = ClusterSimulation.Settings()
        (settings.units, settings.nodes, settings.seed) = (units, nodes, seed)
        settings.shards = shards ?? min(units, nodes * 50)
        (settings.lossesPerHour, settings.unitSeconds) = (lossRate, unitSeconds)
        (settings.startSeconds, settings.noticeSeconds, settings.repairSeconds) =
            (startSeconds, noticeSeconds, repairSeconds)
        let result = Interruption.endingAtOnce { ClusterSimulation.run(settings) }
        let ratio = result.makespan / result.bound
        if output.json {
            return Console.json(
                Line(
                    makespan_seconds: result.makespan, bound_seconds: result.bound, ratio: ratio,
                    losses: result.losses, redone_seconds: result.redone, starts: result.starts,
                    imbalance: result.imbalance))
        }
        func hours(_ seconds: Double) -> String { Format.number(seconds / 3600, digits: 2) + " h" }
        Console.line(
            "makespan \(hours(result.makespan)), bound \(hours(result.bound)): \(Format.number(ratio, digits: 4)) x")
        Console.line(
            "\(counted(result.losses, "machine")) lost, \(hours(result.redone)) done again, "
                + "\(counted(result.starts, "worker")) started")
        Console.line("fullest shard \(Format.number(result.imbalance, digits: 6)) x the mean")
    }
}
