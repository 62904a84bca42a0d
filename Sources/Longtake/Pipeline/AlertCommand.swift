internal import Foundation
internal import Glibc

/// Runs the program of an alert, without a shell.
enum AlertCommand {
    /// Runs a program with a text on its standard input; returns why it failed, nil if it ended with status 0.
    ///
    /// - Parameter timeout: seconds after which it is ended.
    static func problem(of words: [String], input: String, timeout: Double) -> String? {
        guard let name = words.first else { return "no program" }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        // A program that begins with a dash or has = in its name would be an option or a variable of env(1).
        process.arguments = ["--default-signal", "--"] + words
        guard !name.contains("=") else { return "\(name): a program's name must not contain =" }
        let (pipe, ended) = (Pipe(), DispatchSemaphore(value: 0))
        process.standardInput = pipe
        process.standardOutput = FileHandle.standardError
        process.terminationHandler = { _ in ended.signal() }
        do {
            // The child inherits the signal mask, and this thread has all signals blocked.
            var (none, before) = (sigset_t(), sigset_t())
            sigemptyset(&none)
            pthread_sigmask(SIG_SETMASK, &none, &before)
            defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
            try process.run()
        } catch {
            return "\(name): cannot be started: \(error.localizedDescription)"
        }
        // A program that does not read its input must not stop the sender; SIGPIPE is ignored.
        let writer = pipe.fileHandleForWriting
        _ = fcntl(writer.fileDescriptor, F_SETFL, O_NONBLOCK)
        var bytes = ArraySlice(Array(input.utf8))
        let end = ContinuousClock.now + .seconds(timeout)
        while !bytes.isEmpty, ContinuousClock.now < end, process.isRunning {
            let count = bytes.withUnsafeBytes { write(writer.fileDescriptor, $0.baseAddress, $0.count) }
            if count > 0 { bytes = bytes.dropFirst(count) }
            if count < 0, errno != EAGAIN { break }
            if count <= 0 { usleep(5000) }
        }
        try? writer.close()
        let left = max(0, (end - .now).seconds)
        guard ended.wait(timeout: .now() + left) == .success else {
            process.terminate()
            if ended.wait(timeout: .now() + 2) != .success { kill(process.processIdentifier, SIGKILL) }
            return "\(name): not done after \(TimeText.number(timeout)) s; it was ended"
        }
        let status = process.terminationStatus
        return status == 0 ? nil : "\(name): exit status \(status)"
    }
}
