import ArgumentParser
import Glibc
import Longtake

/// Internal: this program starts it for each recording it decodes.
struct DecodeWorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: DecodeWorkerProcess.command, abstract: "Decodes one recording (internal).", shouldDisplay: false)

    @Argument var request: String
    @Argument var parent: Int32

    mutating func run() throws {
        Console.end(DecodeWorkerProcess.main(request: request, parent: parent))
    }
}
