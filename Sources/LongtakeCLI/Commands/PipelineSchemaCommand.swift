import ArgumentParser
import Longtake

struct PipelineSchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON schema of pipeline files, for editors.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake pipeline schema > pipeline.schema.json

            A file whose first line is `# yaml-language-server: $schema=pipeline.schema.json` is then completed and checked \
            by editors.
            """))

    mutating func run() throws {
        Interruption.endAtOnce()
        Console.result(try PipelineSchema.text() + "\n")
    }
}
