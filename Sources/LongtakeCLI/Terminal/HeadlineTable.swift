import Longtake

/// The report of `bench headline` as tables.
enum HeadlineTable {
    static func text(_ report: HeadlineReport) -> String {
        let machine = report.machine
        let head = [
            ([report.shape] + [machine.precision, machine.library, machine.kernels].compactMap(\.self)
                + [counted(machine.threads, "thread")]).joined(separator: ", "),
            "\(machine.cpu) (\(machine.cpuClass))",
            "text of \(report.textTokens.reduce(0, +)) tokens, \(report.textTokens.last ?? 0) of them after the frames; "
                + "peak memory of this run \(Format.bytes(Int64(report.peakBytes)))",
        ]
        let tables = [models(report), claims(report)] + report.models.map(lengths)
        return (head + tables.map { "\n" + Format.table($0.map { $0.map(Console.name) }) }).joined(separator: "\n")
    }

    private static func models(_ report: HeadlineReport) -> [[String]] {
        func row(_ name: String, _ value: (HeadlineReport.Model) -> String) -> [String] {
            [name] + report.models.map(value)
        }
        return [
            row("") { $0.name }, row("operations per image") { Format.operations($0.imageOperations) },
            row("  as the reference computes it") { Format.operations($0.referenceImageOperations) },
            row("first token after one image") { time($0.firstTokenSeconds) },
            row("  frame path") { "\(Format.operations($0.rates.frame))/s" },
            row("  products of a long prompt") { "\(Format.operations($0.rates.products))/s" },
            row("  attention of a long prompt") { "\(Format.operations($0.rates.attention))/s" },
            row("weights, 16 bits") { megabytes($0.weightBytes) },
            row("memory per frame") { megabytes($0.frameBytes) },
            row("  the reference's, with pixels") { megabytes($0.referenceFrameBytes) },
            row("disk per frame, index") { megabytes($0.recordBytes) },
            row("frames in 24 GiB") { "\($0.longest)" }, row("  with --kv int8") { "\($0.longestInt8)" },
            row("  the reference's") { "\($0.referenceLongest)" },
            row("frames in its positions") { "\($0.longestContext)" },
        ]
    }

    private static func claims(_ report: HeadlineReport) -> [[String]] {
        let names = report.models.dropFirst().flatMap { [$0.name, ""] }
        return [["claim", "paper", report.models.first?.name ?? ""] + names]
            + report.claims.map { claim in
                [claim.claim, paper(claim), value(claim.before, claim.unit)]
                    + claim.after.flatMap { figure in
                        [
                            "\(value(figure.value, claim.unit)) (\(proportion(figure.proportion)))",
                            figure.verdict.rawValue,
                        ]
                    }
            }
    }

    private static func paper(_ claim: HeadlineClaim) -> String {
        let values = [claim.paperBefore, claim.paperAfter].compactMap { $0.map { value($0, claim.unit) } }
        let text = values.joined(separator: " → ")
        guard let share = claim.paperProportion else { return text }
        return text.isEmpty ? proportion(share) : "\(text) (\(proportion(share)))"
    }

    private static func lengths(_ model: HeadlineReport.Model) -> [[String]] {
        [
            [
                model.name, "positions", "first question", "", "", "further question", "", "", "everything again", "",
                "memory", "the reference's",
            ]
        ]
            + model.lengths.map { length in
                [
                    counted(length.frames, "frame"), "\(length.positions)" + (length.fitsContext ? "" : " (too many)"),
                    Format.operations(length.operations), time(length.seconds), mark(length.isComputed),
                    Format.operations(length.againOperations), time(length.againSeconds), mark(length.isAgainComputed),
                    Format.operations(length.referenceOperations), time(length.referenceSeconds) + " computed",
                    megabytes(length.memoryBytes), megabytes(length.referenceMemoryBytes),
                ]
            }
    }

    private static func mark(_ isComputed: Bool) -> String { isComputed ? "computed" : "measured" }

    private static func value(_ value: Double, _ unit: String) -> String {
        switch unit {
        case "FLOP": Format.operations(value)
        case "s": time(value)
        case "bytes": megabytes(Int64(saturating: value))
        default: "\(Int(saturating: value)) \(unit)"
        }
    }

    /// A proportion below 1 as a reduction, above it as a multiple.
    private static func proportion(_ value: Double) -> String {
        guard value > 0 else { return "" }
        let times = value < 1 ? 1 / value : value
        let text = times >= 1000 ? "\(Int(saturating: times.rounded()))" : Format.short(times)
        return (value < 1 ? "÷ " : "× ") + text
    }

    /// Powers of 1000, as the paper counts.
    private static func megabytes(_ bytes: Int64) -> String {
        let value = Double(bytes)
        if value >= 1e12 { return "\(Format.short(value / 1e12)) TB" }
        return value >= 1e9 ? "\(Format.short(value / 1e9)) GB" : "\(Format.short(value / 1e6)) MB"
    }

    private static func time(_ seconds: Double) -> String {
        switch seconds {
        case 31_557_600...: "\(Format.short(seconds / 31_557_600)) years"
        case 86_400...: "\(Format.short(seconds / 86_400)) days"
        case 3600...: "\(Format.short(seconds / 3600)) h"
        case 600...: "\(Format.short(seconds / 60)) min"
        case 1...: "\(Format.short(seconds)) s"
        default: "\(Format.short(seconds * 1e3)) ms"
        }
    }
}
