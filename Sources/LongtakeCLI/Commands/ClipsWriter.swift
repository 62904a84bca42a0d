import ArgumentParser
import Longtake

/// Cuts the clips of `export --clips`, recording by recording.
struct ClipsWriter {
    let folder: String
    /// Seconds around the evidence.
    let margin: Double
    let library: Library
    let output: OutputOptions
    /// Whether the clips' paths are printed on standard output, which otherwise has the answers.
    let printsPaths: Bool

    /// Writes the clips of each recording into a folder of its own.
    ///
    /// - Throws: `Failure` if nothing can be written; `ExitCode` 3 if some clips could not be cut, or the exit status of
    ///   the only recording's error.
    func run(_ recordings: [(item: RecordingSummary, records: [AnswerRecord])]) throws {
        var (clips, unchanged, withoutEvidence) = (0, 0, 0)
        var failures: [Failure] = []
        for (item, records) in recordings {
            withoutEvidence += records.count { $0.evidence.isEmpty }
            do {
                let export = ClipExport(
                    library: library, recording: item, margin: margin, cancellation: Interruption.cancellation)
                let written = try export.write(records, into: folder + "/" + ClipExport.folder(of: item))
                for note in written.notes { output.note("note: \(note)") }
                for file in written.files where printsPaths { Console.line(Console.name(file)) }
                clips += written.files.count
                unchanged += written.unchanged
                for failure in written.failed {
                    output.failed(failure, during: "clips", item: item.id)
                    failures.append(failure)
                }
            } catch {
                let failure = Failure(error, subject: item.path)
                // The next recording would meet the same full disk; an interruption ends the command.
                guard recordings.count > 1, failure.exitCode == Exit.input else { throw failure }
                output.failed(failure, during: "clips", item: item.id)
                failures.append(failure)
            }
        }
        if withoutEvidence > 0 {
            output.note(
                "note: \(counted(withoutEvidence, "answer")) without evidence \(withoutEvidence == 1 ? "has" : "have") no clip"
            )
        }
        let kept = unchanged > 0 ? "; \(unchanged) of them \(unchanged == 1 ? "was" : "were") there already" : ""
        output.note("\(counted(clips, "clip")) in \(Console.name(folder))\(kept)")
        guard let first = failures.first else { return }
        throw ExitCode(clips == 0 && failures.count == 1 ? first.exitCode : Exit.partial)
    }
}
