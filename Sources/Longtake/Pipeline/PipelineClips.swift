internal import Foundation

/// Cuts the clips of a recording for the outputs of a pipeline that ask for them.
struct PipelineClips {
    private let outputs: [PipelineOutput]
    private let library: Library
    /// Start of the run, in seconds since 1970.
    private let time: Int
    private let cancellation: Cancellation

    init(_ outputs: [PipelineOutput], library: Library, time: Int, cancellation: Cancellation) {
        self.outputs = outputs.filter { $0.format == .clips }
        (self.library, self.time, self.cancellation) = (library, time, cancellation)
    }

    /// Writes the clips of all answers about a recording.
    ///
    /// - Parameter lines: the answers, as JSON.
    /// - Returns: what could not be cut.
    /// - Throws: `Failure` `cannot_write`, and `LongtakeError` `interrupted`.
    func write(
        _ lines: [String], of recording: RecordingSummary, _ values: PathTemplate.Values, note: (String) -> Void
    ) throws -> [Failure] {
        guard !outputs.isEmpty else { return [] }
        let decoder = JSONDecoder()
        let records = try lines.map { line in
            try decoder.decode(AnswerRecord.self, from: Data(line.utf8)).placed(in: recording, fromFirst: true)
        }
        var failures: [Failure] = []
        for output in outputs {
            let export = ClipExport(
                library: library, recording: recording, margin: output.margin, cancellation: cancellation)
            do {
                let written = try export.write(records, into: output.path.path(time: time, recording: values))
                for remark in written.notes { note(remark) }
                failures += written.failed
            } catch {
                let failure = Failure(error, subject: recording.path)
                guard failure.exitCode == Exit.input else { throw failure }
                failures.append(failure)
            }
        }
        return failures
    }
}
