internal import Foundation

extension HeadlineReport {
    /// Creates the folder for `write(to:)`, which does so too.
    ///
    /// - Throws: `Failure` `cannot_write`.
    package static func createFolder(_ folder: String) throws { try ThumbnailFolder.create(folder) }

    /// Writes the plots as SVG and the report as `headline.json` into `folder`, which is created if it is missing.
    ///
    /// - Returns: the files.
    /// - Throws: `Failure` `cannot_write`.
    package func write(to folder: String) throws -> [String] {
        try Self.createFolder(folder)
        let json = try JSONText.encoder(pretty: true).encode(self)
        let files = plots.map { ("\($0.name).svg", Data($0.svg.utf8)) } + [("headline.json", json + Data("\n".utf8))]
        return try files.map { name, data in
            let file = folder + "/" + name
            do {
                try data.write(to: URL(fileURLWithPath: file), options: .atomic)
            } catch {
                throw Failure.cannotWrite(file, error)
            }
            return file
        }
    }

    /// The drawings, by name.
    package var plots: [(name: String, svg: String)] {
        [
            ("operations", operationsPlot.svg), ("first-question", firstPlot.svg),
            ("further-question", furtherPlot.svg), ("memory", memoryPlot.svg),
        ]
    }

    /// Lengths beyond the context are drawn all the same.
    private var beyond: String {
        models.map { "\($0.name) has positions for \(counted($0.longestContext, "frame"))" }.joined(separator: ", ")
            + "; the lines go on as if there were more."
    }

    private func series(
        _ suffix: String = "", isDashed: Bool = false, of value: (Length) -> Double,
        isMeasured: (Length) -> Bool = { _ in false }
    ) -> [LinePlot.Series] {
        models.enumerated().map { index, model in
            LinePlot.Series(
                name: model.name + suffix,
                points: model.lengths.map { (Double($0.frames), value($0)) }.filter { $0.1 > 0 }, color: index,
                isDashed: isDashed, filled: Set(model.lengths.filter(isMeasured).map { Double($0.frames) }))
        }
    }

    private var operationsPlot: LinePlot {
        LinePlot(
            title: "Operations of the first question",
            description: "Counted operations over the number of frames, "
                + "for three models, from pixels to the first token. " + beyond,
            unit: "floating-point operations", series: series(of: { $0.operations }), label: Self.operations)
    }

    private var firstPlot: LinePlot {
        LinePlot(
            title: "Time of the first question",
            description: "Seconds from pixels to the first token over the number of frames, for three models. Filled "
                + "points are measured, hollow ones computed from measured rates. " + beyond,
            unit: "time to the first token; filled: measured, hollow: computed",
            series: series(of: { $0.seconds }, isMeasured: { !$0.isComputed }), label: Self.time)
    }

    private var furtherPlot: LinePlot {
        LinePlot(
            title: "Time of a further question",
            description: "Seconds to the first token of a further question about the same frames: with what Longtake "
                + "keeps, and dashed as the reference asks it, everything again. " + beyond,
            unit: "time to the first token; filled: measured, hollow: computed; dashed: everything again",
            series: series(of: { $0.againSeconds }, isMeasured: { !$0.isAgainComputed })
                + series(", again", isDashed: true, of: { $0.referenceSeconds }), label: Self.time)
    }

    private var memoryPlot: LinePlot {
        LinePlot(
            title: "Memory of a question",
            description:
                "Bytes of weights, keys and values, and activations over the number of frames, for three models, "
                + "with a line at 24 GiB. " + beyond,
            unit: "bytes, weights included", series: series(of: { Double($0.memoryBytes) }),
            limit: (Double(limitBytes), "24 GiB"), label: Self.bytes)
    }

    private static func scaled(_ value: Double, _ units: [(Double, String)]) -> String {
        let (size, name) = units.first { value >= $0.0 * 0.999 } ?? units.last ?? (1, "")
        return String(format: "%.3g ", value / size) + name
    }

    private static func operations(_ value: Double) -> String {
        scaled(value, [(1e21, "Z"), (1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")])
    }

    private static func time(_ value: Double) -> String {
        if value >= 9999 { return "10" + superscript(Int(saturating: log10(value).rounded())) + " s" }
        return value >= 0.999 ? String(format: "%.0f s", value) : scaled(value, [(1e-3, "ms"), (1e-6, "µs")])
    }

    private static func superscript(_ value: Int) -> String {
        let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
        return String(String(max(0, value)).compactMap { $0.wholeNumberValue.map { digits[$0] } })
    }

    private static func bytes(_ value: Double) -> String {
        scaled(value, [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")])
    }
}
