import ArgumentParser
import Longtake

struct ModelMakeRandomCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-random",
        abstract: "Write a checkpoint with random weights: real sizes and speed, meaningless answers.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model make-random --shape nano --out nano
              longtake model make-random --shape llava-mini-8b --dtype bf16 --out /big/disk/8b     (about 18 GB)
            """))

    @Option(
        help: "nano, llava-mini-8b, llava-mini-7b (on Vicuna), llava-v1.5-7b or llava-v1.5-nano.",
        completion: .list(RandomModel.shapes))
    var shape = "nano"

    @Option(help: "bf16, f16 or f32.", completion: .list(RandomModel.types))
    var dtype = "bf16"

    @Option(help: "Folder to write; must not exist or be empty.", completion: .directory)
    var out: String

    @Option(help: "Seed of the random weights.")
    var seed: UInt64 = 1

    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        let path: String
        let bytes: Int64
    }

    mutating func run() throws {
        _ = try Choice.check(shape, "--shape", of: RandomModel.shapes, code: "bad_request")
        _ = try Choice.check(dtype, "--dtype", of: RandomModel.types, code: "bad_request")
        let planned = try RandomModel.plannedBytes(shape: shape, type: dtype)
        output.note("writing \(Format.bytes(planned)) to \(Console.name(out))")
        try output.showingBytes { report in
            try RandomModel.make(shape: shape, type: dtype, folder: out, seed: seed, progress: report)
        }
        if output.json {
            Console.json(Report(path: out, bytes: planned))
        } else {
            Console.line(out)
        }
    }
}
