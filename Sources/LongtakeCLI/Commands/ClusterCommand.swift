import ArgumentParser
import Longtake

/// The commands that spread a pipeline over several machines.
struct ClusterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "Run a pipeline on several machines: plan, work, collect.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cluster plan nightly.yaml --shards 8 --run /shared/tonight
              longtake cluster worker --run /shared/tonight --shard 0      on any machine, one for each shard
              longtake cluster collect --run /shared/tonight               when all are done

            An engine such as Slurm starts the workers. Whatever it does, each result is published once, and the indexes \
            and answers are those of one machine.
            """),
        subcommands: [
            ClusterPlanCommand.self, ClusterWorkerCommand.self, ClusterSubmitCommand.self, ClusterStatusCommand.self,
            ClusterCancelCommand.self, ClusterCollectCommand.self, ClusterRenderCommand.self,
            ClusterSimulateCommand.self,
        ])
}
