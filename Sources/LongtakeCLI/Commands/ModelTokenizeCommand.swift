import ArgumentParser
import Foundation
import Longtake

struct ModelTokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Convert text to token IDs and back.",
        discussion: Help.text(
            """
            EXAMPLES
              echo '"What is on the table?"' | longtake model tokenize DIR --bos
              echo '[128000, 3923]' | longtake model tokenize DIR --decode

            Reads one JSON string per line (with --decode: one JSON array of IDs) and writes the result on one line. Without \
            --parse-special, names of special tokens are ordinary text.
            """))

    @Argument(help: "Folder with the tokenizer's files.", completion: .directory)
    var folder: String

    @Flag(help: "Prepend the begin-of-text token.")
    var bos = false

    @Flag(help: "Convert names of special tokens to their IDs.")
    var parseSpecial = false

    @Option(
        help: """
            Treat each line as a question in this conversation template: \(TokenizerTool.templates.joined(separator: ", ")). \
            The image is -200.
            """, completion: .list(TokenizerTool.templates))
    var chat: String?

    @Flag(help: "With --chat: a question without an image.")
    var noImage = false

    @Flag(help: "Convert IDs to text.")
    var decode = false

    @Flag(help: "With --decode: omit special tokens.")
    var skipSpecial = false

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let tool: TokenizerTool
        do {
            tool = try TokenizerTool(folder: ModelFolder.path(of: folder))
        } catch {
            throw Failure(error, subject: folder)
        }
        var number = 0
        while let line = readLine() {
            number += 1
            guard !line.allSatisfy(\.isWhitespace) else { continue }
            let data = Data(line.utf8)
            if decode {
                guard let ids = try? JSONDecoder().decode([Int32].self, from: data) else {
                    throw UsageError("line \(number) is not a JSON array of IDs")
                }
                Console.jsonLine(try tool.decode(ids, skipSpecial: skipSpecial))
            } else {
                guard let text = try? JSONDecoder().decode(String.self, from: data) else {
                    throw UsageError("line \(number) is not a JSON string; put the text in double quotes")
                }
                if let chat {
                    Console.jsonLine(try tool.encode(text, chat: chat, withImage: !noImage))
                } else {
                    Console.jsonLine(tool.encode(text, bos: bos, parseSpecial: parseSpecial))
                }
            }
        }
    }
}
