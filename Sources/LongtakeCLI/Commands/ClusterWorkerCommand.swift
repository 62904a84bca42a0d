import ArgumentParser
import Foundation
import Glibc
import Longtake

struct ClusterWorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Do the units of one shard; what engines start on each machine.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cluster worker --run /shared/tonight --shard 3 --scratch /tmp

            What is published is skipped, so the same shard may be run again, and by two machines at once. SIGTERM, SIGINT \
            and SIGUSR1 end it after the current frame.

            Exit status: 0 every unit is published, or recorded as one that cannot be done · 75 not possible here and now \
            (disk full, storage away, ended by a signal): run the shard again, here or elsewhere · 12 the plan needs \
            another program or model · 64 there is no such shard.
            """))

    @Option(help: "Number of the shard, from 0.")
    var shard: Int

    @Option(
        help: "Folder on this machine's disk for unfinished work; by default $TMPDIR or /tmp.", completion: .directory)
    var scratch: String?

    @OptionGroup var folder: ClusterRunOptions
    @OptionGroup var setup: ClusterSetupOptions

    private struct Unit: Encodable {
        let message_type = "unit"
        let event: String
        let unit: String
        let item: String
        var seconds: Double?
        var error: String?
        var message: String?
    }

    mutating func run() throws {
        Interruption.asWorker()
        let output = setup.output
        let run = try folder.open()
        let file = try run.pipeline(Interruption.cancellation)
        let commands = try setup.setup(file)
        let worker = try ClusterWorker(
            run, file: file, options: commands.indexOptions(), identity: commands.identity(),
            model: Deferred { try commands.loadModel() }, search: { try commands.searchModel($0) },
            prefixCache: commands.prefixCachePolicy(), scratch: scratch ?? NSTemporaryDirectory(),
            cancellation: Interruption.cancellation)
        let progress = output.progress
        let summary = try worker.work(shard: shard) { event in
            switch event {
            case .started(let unit, let number, let count):
                progress.show("unit \(number) of \(count): \(unit.name)")
            case .progress(let unit, let frames):
                progress.show("\(unit.name): \(IndexReport.line(frames))")
            case .published(let unit, let seconds):
                show("published", unit, "published after \(Format.short(seconds)) s", seconds: seconds)
            case .lostRace(let unit): show("lost_race", unit, "published by another worker meanwhile")
            case .failed(let unit, let failure):
                show("failed", unit, "cannot be done: \(failure.message)", failure: failure)
            }
        }
        progress.clear()
        if output.json {
            return Console.jsonLine(summary)
        }
        guard !output.isQuiet else { return }
        Console.line(
            "shard \(shard): \(summary.published) published, \(summary.skipped) done before, \(summary.failed) failed")
    }

    private func show(
        _ event: String, _ unit: ClusterUnit, _ text: String, seconds: Double? = nil, failure: Failure? = nil
    ) {
        if setup.output.json {
            Console.jsonLine(
                Unit(
                    event: event, unit: unit.key, item: unit.path, seconds: seconds, error: failure?.code,
                    message: failure?.message))
        } else if !setup.output.isQuiet {
            Console.line("\(Console.name(unit.name)): \(Console.name(text))")
        }
    }
}
