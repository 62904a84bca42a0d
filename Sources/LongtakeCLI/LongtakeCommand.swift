import ArgumentParser
import Foundation
import Glibc
import Longtake

/// The root command; each subcommand is in a file of Commands/.
struct LongtakeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "longtake", abstract: "Ask questions of recordings that last hours.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake index ~/Recordings              index all videos of a folder
              longtake ask day.mp4 "Who comes in?"     answer a question; indexes the file first if necessary
              longtake chat day.mp4                    a conversation about a recording
              longtake search "a red car"              find moments in all indexed recordings
              longtake run pipelines/nightly.yaml      index new recordings and ask the same questions
              longtake nightly install pipelines/nightly.yaml --at 02:00    and that every night

            Exit status: 0 done · 3 partly done · 10 not indexed · 11 locked · 12 model · 13 disk or memory · 14 input · \
            15 refused or context exceeded · 16 network or download · 17 damage · 64 usage · \
            75 try again (cluster worker) · 129, 130, 143 ended by a signal. Any other nonzero status \
            is a failure; new ones may be added. Completions: longtake --generate-completion-script bash|zsh|fish.
            """),
        version: Version.text,
        subcommands: [
            AskCommand.self, IndexCommand.self, ListCommand.self, ShowCommand.self, RemoveCommand.self,
            ChatCommand.self, SearchCommand.self, ExportCommand.self, FramesCommand.self, RunCommand.self,
            RunsCommand.self, ReportCommand.self, WatchCommand.self, PipelineCommand.self, NightlyCommand.self,
            ClusterCommand.self, InspectCommand.self, EvalCommand.self, ModelCommand.self, CacheCommand.self,
            BenchCommand.self, DoctorCommand.self,
            DecodeWorkerCommand.self,
        ])
}

@main
enum Main {
    static func main() {
        StandardStreams.openMissing()
        StatusSignal.block()
        if CommandLine.argc > 1, CommandLine.arguments[1] == DecodeWorkerProcess.command {
            // Without the parser, which would be a good part of the time in which a worker starts.
            if CommandLine.argc == 4, let parent = Int32(CommandLine.arguments[3]) {
                Console.end(DecodeWorkerProcess.main(request: CommandLine.arguments[2], parent: parent))
            }
            return LongtakeCommand.main()
        }
        do {
            // Check the stack first: parsing arguments needs more stack than reporting that there is too little.
            try StartingLimits.checkStack(light: isLight)
        } catch {
            end(Failure(error))
        }
        Interruption.install()
        DecodeWorkerProcess.useThisProgram()
        var command: any ParsableCommand
        do {
            let arguments = Array(CommandLine.arguments.dropFirst())
            try ArgumentCheck.check(arguments)
            command = try LongtakeCommand.parseAsRoot(ArgumentCheck.joined(arguments))
        } catch let error as UsageError {
            end(error.failure)
        } catch {
            end(parsing: error)
        }
        if DecodeWorkerProcess.allowsNoFilter, !(command is DoctorCommand) {
            Console.warn(
                "LONGTAKE_NO_SECCOMP is set: if this kernel refuses system call filters, recordings are decoded without "
                    + "one; `longtake doctor` reports whether it does")
        }
        do {
            try checkLimits()
            try command.run()
            Console.end(0)
        } catch let error as ExitCode {
            Console.end(error.rawValue)
        } catch  where LongtakeCommand.exitCode(for: error) == .success {
            help(error)
        } catch let error as ValidationError {
            end(parsing: error)
        } catch let error as UsageError {
            end(error.failure)
        } catch {
            end(Failure(error))
        }
    }

    /// Commands that neither compute nor decode, and so need few resources.
    private static let light: Set = ["ls", "show", "rm", "export", "cache", "runs", "report", "pipeline", "nightly"]

    private static var isLight: Bool {
        guard CommandLine.argc > 1 else { return true }
        let name = CommandLine.arguments[1]
        return name.hasPrefix("-") || light.contains(name)
    }

    /// Reports limits that are too low to compute with before a library runs into them.
    private static func checkLimits() throws {
        guard !isLight else { return }
        let arguments = CommandLine.arguments.dropFirst()
        var threads: Int?
        for (word, next) in zip(arguments, arguments.dropFirst() + [""]) where word.hasPrefix("--threads") {
            threads = word == "--threads" ? Int(next) : Int(word.dropFirst("--threads=".count))
        }
        let own =
            threads ?? (try? OptionName.threads.environmentValue(Int.self))
            ?? ProcessInfo.processInfo.activeProcessorCount
        try StartingLimits.check(threads: own)
    }

    private static func end(parsing error: any Error) -> Never {
        let code = LongtakeCommand.exitCode(for: error)
        let arguments = Array(CommandLine.arguments.dropFirst())
        if code == .success { help(error) }
        if Console.wantsJSON {
            let message = UsageMessage.text(LongtakeCommand.message(for: error), arguments: arguments)
            end(Failure(code: "usage", message: message, exitCode: code.rawValue))
        }
        Console.note(UsageMessage.text(LongtakeCommand.fullMessage(for: error), arguments: arguments))
        Console.end(code.rawValue)
    }

    /// Prints help, the version or a completion script, and exits.
    private static func help(_ error: any Error) -> Never {
        Interruption.endAtOnce()
        let text = Help.laidOut(LongtakeCommand.fullMessage(for: error))
        Console.result(text.hasSuffix("\n") ? text : text + "\n")
        Console.end(0)
    }

    private struct ExitError: Encodable {
        let message_type = "exit_error"
        let code: Int32
        let error: String
        let message: String
        let id: String?
        let index: String?
        let frames: Int?
    }

    private static func end(_ failure: Failure) -> Never {
        let failure = failure.withHint
        let code = failure.exitCode == Exit.interrupted ? Interruption.exitCode ?? failure.exitCode : failure.exitCode
        if Console.wantsJSON {
            Console.jsonLine(
                ExitError(
                    code: code, error: failure.code, message: failure.message, id: failure.kept?.id,
                    index: failure.kept?.index, frames: failure.kept?.frames), to: STDERR_FILENO)
        } else {
            // Clear the progress line, if there is one.
            if Console.isTerminal { Console.write("\r\u{1B}[2K", to: STDERR_FILENO) }
            Console.problem(failure.message)
        }
        Console.end(code)
    }
}
