import ArgumentParser
import Longtake

/// Options of the benchmarks.
struct BenchOptions: ParsableArguments {
    @Option(help: "Number of runs after a warm-up; the median is printed.")
    var runs = 5

    @OptionGroup var output: OutputOptions

    func checkedRuns() throws -> Int {
        guard (1...1000).contains(runs) else { throw UsageError("--runs must be 1 to 1000, not \(runs)") }
        return runs
    }

    /// Prints a report as JSON or as a table.
    func show(_ report: BenchReport) {
        if output.json { return Console.json(report) }
        Console.line(Format.table(BenchTable.rows(report).map { $0.map(Console.name) }))
    }
}

/// Options for the model of a benchmark.
struct BenchModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Shape of random weights in memory: full (LLaVA-Mini on Llama 3.1 8B) or nano. The default is full."),
        completion: .list(BenchModel.shapes))
    var shape: String?

    // Not LONGTAKE_MODEL: without the option random weights are measured.
    @Option(name: [.customLong("model"), .customShort("m")], help: "Folder or name of a model to measure instead.")
    var model: String?

    @Option(help: "Layers of the language model to compute; their time is scaled to all. 8 with --shape full.")
    var layers: Int?

    @Option(
        .precision,
        "auto, f32, bf16, int8, int4 (the language model's weights) or int8+int4 (the others in int8).",
        completion: .list(BenchModel.precisions))
    var precision: String?

    @OptionGroup var keyValues: KeyValueOptions
    @OptionGroup var machine: MachineOptions

    func load(_ part: BenchModel.Part) throws -> BenchModel {
        let precision = try OptionName.precision.choice(precision, of: BenchModel.precisions, code: "bad_request")
        let weights = precision.flatMap(BenchModel.Weights.init(rawValue:))
        var settings = try machine.settings(checked: weights == nil ? precision : nil)
        try keyValues.apply(to: &settings)
        if let weights, model != nil {
            throw UsageError(
                "--precision \(weights.rawValue) is for random weights; a folder gets 4-bit weights by `longtake model "
                    + "quantize`")
        }
        if model != nil, shape != nil || layers != nil {
            throw UsageError("--model cannot be combined with --shape or --layers")
        }
        let chosen = try Choice.check(
            shape ?? BenchModel.shapes[0], "--shape", of: BenchModel.shapes, code: "bad_request")
        do {
            return try Interruption.endingAtOnce {
                guard let model else {
                    return try BenchModel(
                        shape: chosen, part: part, layers: layers, weights: weights, settings: settings)
                }
                return try BenchModel(path: ModelFolder.path(of: model), settings: settings)
            }
        } catch {
            throw Failure(error, subject: model)
        }
    }
}

/// A benchmark's report as a table of two columns.
enum BenchTable {
    static func rows(_ report: BenchReport) -> [[String]] {
        let machine = report.machine
        var rows = [
            [
                report.benchmark,
                ([report.subject] + [machine.precision, machine.library, machine.kernels].compactMap(\.self)
                    + [counted(machine.threads, "thread")]).joined(separator: ", "),
            ],
            ["cpu", "\(machine.cpu) (\(machine.cpuClass))"],
            [
                "time",
                "\(time(report.seconds)) per \(report.unit), \(Format.short(1 / report.seconds)) "
                    + "\(report.unit)s/s; median of \(counted(report.runs.count, "run")), "
                    + "\(time(report.runs.min() ?? 0)) to \(time(report.runs.max() ?? 0))",
            ],
        ]
        rows += report.notes.map { ["", $0] }
        if let operations = report.operations, let rate = report.operationsPerSecond {
            rows.append(["speed", "\(Format.operations(operations)) per \(report.unit), \(Format.operations(rate))/s"])
        }
        if let bytes = report.bytes, let rate = report.bytesPerSecond {
            rows.append([
                "speed",
                "\(Format.bytes(Int64(saturating: bytes))) per \(report.unit), \(Format.short(rate / 1e9)) GB/s",
            ])
        }
        if let share = report.shareOfPeak {
            let peak = report.peak.map {
                report.operations == nil ? "\(Format.short($0 / 1e9)) GB/s" : Format.operations($0) + "/s"
            }
            rows.append(["peak", peak.map { "\(percent(share)) of \($0)" } ?? "\(percent(share)) of all cores"])
        }
        return rows + report.parts.map { ["  " + $0.name, "\(percent($0.share))  \(time($0.seconds))"] }
    }

    private static func percent(_ share: Double) -> String { Format.number(100 * share, digits: 1) + " %" }

    private static func time(_ seconds: Double) -> String {
        switch seconds {
        case 1...: "\(Format.short(seconds)) s"
        case 1e-3...: "\(Format.short(seconds * 1e3)) ms"
        default: "\(Format.short(seconds * 1e6)) µs"
        }
    }
}
