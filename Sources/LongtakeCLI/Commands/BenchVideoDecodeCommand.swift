import ArgumentParser
import Longtake

struct BenchVideoDecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "video-decode", abstract: "Measure decoding, from a recording to frames of the model's size.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake bench video-decode day.mp4 --decode-threads 2
            """))

    @Argument(help: "A video file.")
    var recording: PathArgument

    @Option(help: "Side of the frames in pixels.")
    var side = 336

    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var bench: BenchOptions

    mutating func run() throws {
        let (options, runs) = (try sampling.options(), try bench.checkedRuns())
        let benchmark = VideoDecodeBenchmark(cancellation: Interruption.cancellation)
        do {
            bench.show(try benchmark.run(recording.path, options: options, side: side, runs: runs))
        } catch {
            throw Failure(error, subject: recording.path.description)
        }
    }
}
