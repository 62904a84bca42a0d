import ArgumentParser
import Glibc
import Longtake

struct CachePruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Remove unneeded files, then the least recently used ones until the cache fits its limit.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake cache prune --dry-run
              longtake cache prune --max 200G --yes
              longtake cache prune --missing-for 7d --yes     also recordings whose files have been gone for a week
              longtake cache prune --incomplete --yes         also segments of killed runs

            Leftovers of killed runs and indexes of older versions are always removed. Then, until the cache fits its limit: \
            prefix caches, patches of complete indexes, complete indexes, the least recently asked first. Files in use stay.
            """))

    @Option(.pruneMax, "Maximum size of the cache: 500000000, 200G, 80% of the file system.")
    var max: String?

    @Flag(help: "Also remove segments of unfinished runs, from which the next run would continue.")
    var incomplete = false

    @Option(
        help: """
            Also remove recordings whose files are gone or were replaced, if a run first noticed that at least this long \
            ago: 90, 24h, 7d. Files on a disk that is not mounted do not count.
            """)
    var missingFor: String?

    @Flag(help: "Print what would be removed; remove nothing.")
    var dryRun = false

    @Flag(name: .shortAndLong, help: "Do not ask for confirmation; required if standard input is not a terminal.")
    var yes = false

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        let missing = try missingFor.map { text in
            guard let seconds = TimeText.seconds(text) else {
                throw UsageError("invalid --missing-for \"\(text)\"; use 90, 24h or 7d")
            }
            return seconds
        }
        let maintenance = try library.maintenance(cacheMax: max)
        if !dryRun, !yes {
            try ask(try maintenance.prune(incomplete: incomplete, missingFor: missing, dryRun: true))
        }
        let pruning = try maintenance.prune(incomplete: incomplete, missingFor: missing, dryRun: dryRun)
        if output.json {
            Console.json(pruning)
        } else {
            let verb = dryRun ? "would remove" : "removed"
            for item in pruning.removed {
                Console.line(
                    output.isQuiet
                        ? item.path
                        : "\(verb) \(item.kind)  \(Console.name(item.recording ?? item.name ?? item.path))  \(Format.bytes(item.bytes))"
                )
            }
            if pruning.unreachable > 0 {
                output.note(
                    "note: "
                        + counted(
                            pruning.unreachable, "recording stays: its folder is", "recordings stay: their folders are")
                        + " missing (a disk that is not mounted?); `longtake rm --missing --unreachable` removes them")
            }
            output.note(
                "\(Format.bytes(pruning.bytesBefore)) before, \(Format.bytes(pruning.bytesAfter)) after, "
                    + "\(Format.bytes(pruning.maxBytes)) allowed")
        }
        guard pruning.fits else {
            let pinned = pruning.pinned.map { "\($0.name ?? $0.index) (\($0.reason), \(counted($0.bytes, "byte")))" }
            throw Failure(
                code: "cache_full",
                message:
                    "\(counted(pruning.bytesAfter, "byte is", "bytes are")) left, the limit is \(pruning.maxBytes): "
                    + (pinned.isEmpty ? "nothing more can be removed" : "in use are " + pinned.joined(separator: ", ")),
                exitCode: Exit.space)
        }
    }

    private func ask(_ plan: CachePruning) throws {
        Interruption.endAtOnce()
        guard !plan.removed.isEmpty else { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw UsageError("standard input is not a terminal: give --yes to remove without confirmation")
        }
        for item in plan.removed {
            Console.note(
                "\(item.kind)  \(Console.name(item.recording ?? item.name ?? item.path))  \(Format.bytes(item.bytes))")
        }
        Console.write("remove \(Format.bytes(plan.bytesBefore - plan.bytesAfter))? [y/N] ", to: STDERR_FILENO)
        guard let line = readLine(), ["y", "yes"].contains(line.lowercased()) else { throw ExitCode(1) }
    }
}
