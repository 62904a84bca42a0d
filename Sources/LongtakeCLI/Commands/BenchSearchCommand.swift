import ArgumentParser
import Foundation
import Longtake

/// Measures the cost of comparing a frame on this machine, for docs/search.md.
struct BenchSearchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "search", abstract: "Measure search over random records.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake bench search --frames 200000

            Always prints JSON. The index of random records is removed afterwards.
            """))

    @Option(help: "Number of frames in the index.")
    var frames = 100_000

    @Option(help: "Dimensions of an embedding.")
    var embedding = 768

    @Option(help: "Bytes of a frame's vision token.")
    var tokenBytes = 8192

    @Option(help: "Number of runs over all frames.")
    var runs = 5

    @Option(help: "Folder for the temporary index.", completion: .directory)
    var folder = NSTemporaryDirectory()

    @OptionGroup var compute: ComputeOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Console.json(
            try SearchBenchmark(
                frames: frames, embedding: embedding, tokenBytes: tokenBytes, folder: folder,
                settings: compute.settings(), runs: runs))
    }
}
