import ArgumentParser
import Glibc
import Longtake

/// Options of every command.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON: one document, or one object per line for long work.")
    var json = false

    @Flag(.quiet, "Print no progress and no notes.")
    var quiet = false

    @Flag(.noProgress, "Print no progress.")
    var noProgress = false

    var isQuiet: Bool { OptionName.quiet.isOn(quiet) }
    var progress: Progress { progress(isOff: false) }

    /// - Parameter isOff: true if something besides the options turns progress off.
    func progress(isOff: Bool) -> Progress {
        Progress(isShown: !isOff && !isQuiet && !json && !OptionName.noProgress.isOn(noProgress))
    }

    /// Reports a failure that does not end the command, on standard error even with --quiet.
    func failed(_ failure: Failure, during: String, item: String? = nil) {
        let failure = failure.withHint
        guard json else { return Console.problem(failure.message) }
        Console.jsonLine(Trouble(error: failure, during: during, item: item), to: STDERR_FILENO)
    }

    private struct Trouble: Encodable {
        let message_type = "error"
        let error: Failure
        let during: String
        let item: String?
    }

    /// Prints a warning, even with --quiet.
    func warn(_ text: String) { Console.warn(text) }

    func note(_ text: String) {
        if !isQuiet, !json { Console.note(Console.safe(text)) }
    }
}
