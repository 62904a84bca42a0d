import ArgumentParser
import Glibc
import Longtake

/// Reports exported and imported indexes, as text or as JSON lines, and how the command ends.
final class TransferReport {
    private let output: OutputOptions
    private let progress: Progress
    private let verb: String
    private let descriptor: Int32
    private var counts: [String: Int] = [:]
    private var bytes: Int64 = 0
    private var first: Failure?
    /// What the first failure is about, until it is printed.
    private var held: String?
    /// Number of failures.
    private(set) var failed = 0

    /// - Parameter verb: "exported" or "imported".
    /// - Parameter descriptor: where results are printed.
    init(_ output: OutputOptions, verb: String, _ descriptor: Int32) {
        (self.output, self.verb, self.descriptor) = (output, verb, descriptor)
        progress = output.progress
    }

    private struct Summary: Encodable {
        let message_type = "summary"
        let indexes_new: Int
        let indexes_replaced: Int
        let indexes_unchanged: Int
        let indexes_failed: Int
        let bytes_added: Int64
    }

    /// Shows how many bytes were read.
    func show(_ bytes: Int64) { progress.show("read \(Format.bytes(bytes))") }

    /// Reports one index, or why it failed.
    func add(_ item: String, _ body: () throws -> TransferredIndex) {
        do {
            let done = try body()
            progress.clear()
            flush()
            counts[done.action, default: 0] += 1
            if done.action != "unchanged" { bytes += done.bytes }
            print(done)
        } catch {
            progress.clear()
            let failure = Failure(error)
            // As after `| head`.
            if failure.code == Library.brokenPipe { Console.end(141) }
            flush()
            failed += 1
            if first == nil { (first, held) = (failure, item) } else { show(failure, item) }
        }
    }

    private func show(_ failure: Failure, _ item: String) {
        if failure.code != "interrupted" { output.failed(failure, during: String(verb.dropLast(2)), item: item) }
    }

    /// Prints the first failure, which is held back: if nothing else happens, the command ends with it.
    private func flush() {
        if let first, let held { show(first, held) }
        held = nil
    }

    private func print(_ done: TransferredIndex) {
        if output.json { return Console.jsonLine(done, to: descriptor) }
        let action = done.action == "unchanged" ? "unchanged" : verb
        let line =
            output.isQuiet
            ? done.index
            : "\(action) \(done.id)  \(Console.name(done.path))  \(Format.bytes(done.bytes))  \(Console.name(done.item))"
        Console.write(Console.safe(line) + "\n", to: descriptor)
    }

    /// Prints the summary; throws the exit status if something failed.
    func end() throws {
        if let first, held != nil { throw first }
        if output.json {
            Console.jsonLine(
                Summary(
                    indexes_new: counts["new"] ?? 0, indexes_replaced: counts["replaced"] ?? 0,
                    indexes_unchanged: counts["unchanged"] ?? 0, indexes_failed: failed, bytes_added: bytes),
                to: descriptor)
        }
        guard let first else { return }
        throw ExitCode(counts.isEmpty ? first.exitCode : Exit.partial)
    }
}
