import ArgumentParser
import Longtake

struct ModelParityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "parity", abstract: "Compare computed tensors with those of a reference.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model parity Tests/Fixtures/golden/case01_image_c1_llama31
              longtake model parity ~/export/* --precision bf16

            A case folder has the checkpoint, inputs.safetensors and expected.safetensors (docs/parity.md). The exit status \
            is 0 only if every tensor is within its tolerance and all greedy token IDs are equal.
            """))

    @Argument(help: "Case folders.", completion: .directory)
    var folders: [String]

    @Flag(help: "Print one line per case, and only the tensors out of tolerance.")
    var brief = false

    @OptionGroup var model: ModelOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        var settings = try model.settings()
        try settings.setDefault(precision: "f32")
        var failed = 0
        var broken: Failure?
        var reports: [ParityReport] = []
        for folder in folders {
            let report: ParityReport
            do {
                report = try ParityRunner.run(folder: folder, settings: settings)
            } catch {
                // Continue with the other cases.
                let failure = Failure(error, subject: folder)
                if folders.count == 1 { throw failure }
                broken = failure
                output.failed(failure, during: "compare", item: folder)
                continue
            }
            if !report.passed { failed += 1 }
            reports.append(report)
            if !output.json { show(report) }
        }
        if output.json { Console.json(reports.map { Verdict(report: $0) }) }
        if failed > 0 { throw ExitCode(1) }
        // In JSON, the last line on standard error gives the outcome; in text it has already been printed.
        if let broken { throw output.json ? broken : ExitCode(broken.exitCode) }
    }

    private struct Verdict: Encodable {
        let report: ParityReport
        private enum Keys: String, CodingKey { case passed }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(report.passed, forKey: .passed)
            try report.encode(to: encoder)
        }
    }

    private func verdict(_ tensor: TensorDeviation, _ precision: String) -> String {
        let limit = Format.short(tensor.tolerance)
        if precision == "f32" { return tensor.withinTolerance ? "ok (≤ \(limit))" : "OUT OF TOLERANCE (\(limit))" }
        // In bf16 the cosine of the vision tokens decides; the rest is only printed.
        if tensor.tolerance == 0 { return tensor.withinTolerance ? "" : "OUT OF TOLERANCE" }
        return tensor.withinTolerance ? "ok (cosine ≥ \(limit))" : "OUT OF TOLERANCE (cosine < \(limit))"
    }

    private func show(_ report: ParityReport) {
        var rows: [[String]] = []
        for tensor in report.tensors where !brief || !tensor.withinTolerance {
            rows.append([
                "  \(tensor.name)", "abs \(Format.short(tensor.absolute))", "rel \(Format.short(tensor.relative))",
                "cosine \(Format.number(tensor.cosine, digits: 6))",
                verdict(tensor, report.precision),
            ])
        }
        for ids in report.greedy where !brief || !ids.equal {
            rows.append([
                "  \(ids.name)", counted(ids.expected.count, "id"),
                ids.equal
                    ? "equal" : ids.required ? "DIFFERENT: \(ids.found)" : "differ (allowed in \(report.precision))",
            ])
        }
        let worst = report.tensors.map(\.absolute).max() ?? 0
        Console.line(
            "\(report.passed ? "pass" : "FAIL")  \(Console.name(report.name))  \(report.precision)  \(counted(report.tensors.count, "tensor")), "
                + "worst abs \(Format.short(worst)); \(report.greedy.filter(\.equal).count) of \(counted(report.greedy.count, "id list")) equal"
        )
        if !rows.isEmpty { Console.line(Format.table(rows)) }
        for note in report.notes { output.note("  note: \(Console.name(note))") }
    }
}
