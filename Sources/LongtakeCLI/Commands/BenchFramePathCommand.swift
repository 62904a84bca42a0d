import ArgumentParser
import Longtake

struct BenchFramePathCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frame-path", abstract: "Measure the way of a frame, from pixels to its record.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake bench frame-path --precision bf16
              longtake bench frame-path day.mp4 --model Models/nano        decoding included

            Prints operations per second, their share of the fastest matrix product measured in the same run, and where the \
            time goes. Nothing is written.
            """))

    @Argument(help: "A recording to take the frames from; without one they are random pixels in memory.")
    var recording: PathArgument?

    @Option(help: "Frames per run; one batch by default, two of a recording.")
    var frames: Int?

    @OptionGroup var model: BenchModelOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var bench: BenchOptions

    mutating func run() throws {
        let (options, runs) = (try sampling.options(), try bench.checkedRuns())
        let benchmark = try FramePathBenchmark(model.load(.frames), cancellation: Interruption.cancellation)
        bench.show(try benchmark.run(recording: recording?.path, options: options, frames: frames, runs: runs))
    }
}
