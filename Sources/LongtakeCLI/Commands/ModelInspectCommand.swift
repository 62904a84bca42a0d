import ArgumentParser
import Longtake

struct ModelInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Describe a checkpoint and its cost.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake model inspect ~/models/llava-mini-llama-3.1-8b
            """))

    @Argument(help: "Folder of the checkpoint.", completion: .directory)
    var folder: String

    @Flag(help: "Read all weights and report those that are NaN or infinite.")
    var checkTensors = false

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let inspection: ModelInspection
        do {
            inspection = try ModelInspection(path: ModelFolder.path(of: folder), checkTensors: checkTensors)
        } catch {
            throw Failure(error, subject: folder)
        }
        if output.json {
            Console.json(inspection)
        } else {
            let rows = inspection.rows(bytes: Format.bytes, operations: Format.operations)
            Console.line(Format.table(rows.map { $0.map(Console.name) }))
            for note in inspection.notes { output.note("note: \(Console.name(note))") }
        }
        if inspection.hasNonFinite { throw ExitCode(Exit.model) }
    }
}
