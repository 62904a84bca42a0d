import ArgumentParser
import Longtake

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Report this machine's features, its speed and what is missing.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake doctor --json > report.json      to paste into an issue
            """))

    @Option(.threads, "Number of compute threads; all cores by default.")
    var threads: Int?

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        // The command only measures, so there is nothing to save.
        Interruption.endAtOnce()
        let report = DoctorReport(
            cacheFolder: library.cachePath, threads: try ComputeOptions.settings(threads: threads).threads)
        if output.json { return Console.json(report) }
        var rows = [
            ["longtake", report.version],
            ["cpu", "\(report.cpu), \(counted(report.cores, "core")), \(counted(report.threads, "thread")) used"],
            ["features", report.features.joined(separator: " ")],
            ["kernels", "\(report.kernels) (of \(report.kernelsAvailable.joined(separator: ", ")))"],
        ]
        rows += report.libraries.sorted { $0.key < $1.key }.map { [$0.key, $0.value] }
        rows += report.peaks.map {
            let unit = $0.precision == "int8" ? "GOPS" : "GFLOPS"
            return ["peak \($0.precision)", "\(Format.number($0.gigaflops, digits: 1)) \(unit) (\($0.backend))"]
        }
        rows.append([
            "memory", "\(Format.bytes(report.memoryBytes)), \(Format.bytes(report.availableMemoryBytes)) available",
        ])
        rows.append(["cache", "\(report.cacheFolder), \(report.cacheFreeBytes.map { Format.bytes($0) } ?? "?") free"])
        if let isFiltered = report.workerIsFiltered {
            let filter = isFiltered ? "system call filter" : "NO system call filter"
            let landlock = report.landlock.map { $0 > 0 ? "Landlock \($0)" : "no Landlock" } ?? ""
            rows.append(["decode worker", "\(filter), \(landlock)"])
        }
        if report.allowsNoFilter { rows.append(["LONGTAKE_NO_SECCOMP", "set"]) }
        Console.line(Format.table(rows.map { $0.map(Console.name) }))
        for problem in report.problems { Console.line("missing: \(problem.what)\n  fix: \(problem.fix)") }
        if report.problems.isEmpty { Console.line("nothing is missing") }
    }
}
