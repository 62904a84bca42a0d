import ArgumentParser
import Longtake

struct BenchHeadlineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "headline", abstract: "Measure the paper's headline figures: LLaVA-v1.5 beside LLaVA-Mini.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake bench headline                          7B and 8B, random weights: minutes, 20 GiB of memory
              longtake bench headline --shape nano --json      seconds
              longtake bench headline --out headline           also the plots, as SVG

            Three models, one after the other: operations per image, time to the first token, memory per frame and the \
            longest recording in 24 GiB, each over recordings of 1 to 86,400 frames. One image and some further questions \
            are measured; other times follow from measured rates and are marked.
            """))

    @Option(
        help: "full (LLaVA-v1.5-7B, LLaVA-Mini on Vicuna 7B and on Llama 3.1 8B) or nano. The default is full.",
        completion: .list(BenchModel.shapes))
    var shape: String?

    @Option(help: "Measurements of one image per model; the median is printed.")
    var runs = 3

    @Option(help: "Also write the plots (SVG) and headline.json into this folder.", completion: .directory)
    var out: String?

    @OptionGroup var keyValues: KeyValueOptions
    @OptionGroup var machine: MachineOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        guard (1...1000).contains(runs) else { throw UsageError("--runs must be 1 to 1000, not \(runs)") }
        let chosen = try Choice.check(
            shape ?? BenchModel.shapes[0], "--shape", of: BenchModel.shapes, code: "bad_request")
        var settings = try machine.settings(checked: nil)
        try keyValues.apply(to: &settings)
        // Before minutes of measuring.
        if let out { try HeadlineReport.createFolder(out) }
        Interruption.endAtOnce()
        let progress = output.progress
        let report: HeadlineReport
        do {
            report = try HeadlineBenchmark(
                shape: chosen, runs: runs, settings: settings, cancellation: Interruption.cancellation
            ) { progress.show($0) }.run()
        } catch {
            throw Failure(error, subject: nil)
        }
        progress.clear()
        let files = try out.map { try report.write(to: $0) } ?? []
        if output.json { return Console.json(report) }
        Console.line(HeadlineTable.text(report))
        for file in files { output.note(Console.name(file)) }
    }
}
