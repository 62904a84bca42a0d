import ArgumentParser
import Glibc
import Longtake

/// The commands that maintain the cache folder.
struct CacheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache", abstract: "Look after the frame cache: how full, whether whole, what can go.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake cache stats
              longtake cache verify --read-data --subset 2/7     a seventh of the data, on each day of the week
              longtake cache prune --max 200G --yes
              longtake cache repair
            """),
        subcommands: [CacheStatsCommand.self, CacheVerifyCommand.self, CachePruneCommand.self, CacheRepairCommand.self])
}

extension LibraryOptions {
    func maintenance(cacheMax: String? = nil) throws -> CacheMaintenance {
        do {
            return try CacheMaintenance(
                cachePath: cachePath, dataPath: dataPath, cacheMax: cacheMax ?? Environment.text("CACHE_MAX_BYTES"),
                cancellation: Interruption.cancellation)
        } catch {
            throw Failure(error)
        }
    }
}

struct CacheStatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Say how full the cache is, and of what.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cache stats --json | jq '.bytes / .max_bytes'
            """))

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let stats = try library.maintenance().stats()
        if output.json { return Console.json(stats) }
        if output.isQuiet { return Console.line("\(stats.bytes)") }
        var rows = [
            ["cache", Console.name(stats.path)],
            ["holds", "\(Format.bytes(stats.bytes)) of \(Format.bytes(stats.maxBytes)) it may hold"],
            ["free", "\(Format.bytes(stats.freeBytes)) on its file system"],
            [
                "indexes",
                "\(stats.indexes), \(counted(stats.frames, "frame")); \(stats.indexesWithPatches) with all patches",
            ],
            ["patches", Format.bytes(stats.patchBytes)],
        ]
        if stats.derivedBytes > 0 { rows.append(["derived", Format.bytes(stats.derivedBytes)]) }
        if stats.trashBytes > 0 { rows.append(["trash", Format.bytes(stats.trashBytes)]) }
        if stats.unfinished > 0 {
            rows.append(["unfinished", "\(stats.unfinished), \(Format.bytes(stats.unfinishedBytes))"])
        }
        if stats.otherVersions > 0 {
            rows.append([
                "other", "\(stats.otherVersions) of other versions, \(Format.bytes(stats.otherVersionsBytes))",
            ])
        }
        if stats.damaged > 0 { rows.append(["damaged", "\(stats.damaged): longtake cache verify"]) }
        if stats.beingWritten > 0 { rows.append(["being written", "\(stats.beingWritten)"]) }
        Console.line(Format.table(rows))
    }
}

struct CacheVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check that what is in the cache is what was written.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake cache verify                   the structure of all files
              longtake cache verify --read-data       every byte of every frame
              longtake cache verify --subset 2/7      every byte of a seventh of the files

            Changes nothing. The exit status is 17 when there is damage: `longtake cache repair` drops it.
            """))

    @Flag(help: "Read every frame and compute its checksums.")
    var readData = false

    @Option(help: "Read only the n-th of m parts of the data: n/m. All parts together are everything.")
    var subset: String?

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        Interruption.endAtOnce()
        let progress = output.progress
        let found = try library.maintenance().verify(readData: readData, subset: subset) { bytes in
            progress.show("read \(Format.bytes(bytes))")
        }
        progress.clear()
        if output.json {
            Console.json(found)
        } else {
            for damage in found.damage {
                let frame = damage.frame.map { ", frame \($0)" } ?? ""
                Console.line(
                    output.isQuiet
                        ? damage.file
                        : "damaged: \(Console.name(damage.file))\(frame): \(Console.name(damage.reason))")
            }
            if !output.isQuiet, found.isClean {
                var line =
                    "no damage: \(counted(found.indexes, "index", "indexes")), \(counted(found.files, "file")), "
                    + counted(found.frames, "frame")
                if found.bytesRead > 0 { line += ", \(Format.bytes(found.bytesRead)) read" }
                if found.unfinished > 0 { line += "; \(found.unfinished) unfinished" }
                if found.otherVersions > 0 { line += "; \(found.otherVersions) of other versions left out" }
                Console.line(line)
            }
        }
        if !found.isClean {
            throw Failure(
                code: "damaged",
                message: "\(found.damage.count) damaged: `longtake cache repair` drops them, the next `longtake index` "
                    + "makes them again", exitCode: Exit.damaged)
        }
    }
}

struct CachePruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove what is not needed until the cache is as small as it has to be.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake cache prune --dry-run
              longtake cache prune --max 200G --yes
              longtake cache prune --missing-for 7d --yes also recordings whose files are gone or replaced for a week
              longtake cache prune --incomplete --yes     also what killed runs left, which the next run would go on with

            What dead runs left and indexes of older versions go always. Then, only while the cache is too large: derived \
            files, patches of whole indexes, whole indexes, what was asked longest ago first. What is open stays.
            """))

    @Option(
        help: "How large it may be: 500000000, 200G, 80% of the file system. (env: LONGTAKE_CACHE_MAX_BYTES)")
    var max: String?

    @Flag(help: "Also remove segments of runs that did not come to their end.")
    var incomplete = false

    @Option(
        help: """
            Also remove recordings whose files are gone or were replaced, and were first found so by a run at least this \
            long ago: 90, 24h, 7d. Files on a disk that is not mounted do not count.
            """)
    var missingFor: String?

    @Flag(help: "Only say what would be removed.")
    var dryRun = false

    @Flag(name: .shortAndLong, help: "Do not ask. Needed where standard input is no terminal.")
    var yes = false

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        let maintenance = try library.maintenance(cacheMax: max)
        let missing = try missingFor.map { text in
            guard let seconds = TimeText.seconds(text) else {
                throw UsageError("--missing-for \(text) is not a time; 90, 24h and 7d are possible")
            }
            return seconds
        }
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
                        + " missing (a disk that is not mounted?); `longtake rm --missing --unreachable` removes such")
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
                    "\(counted(pruning.bytesAfter, "byte is", "bytes are")) left where \(pruning.maxBytes) may be: "
                    + (pinned.isEmpty ? "nothing more can go" : "pinned are " + pinned.joined(separator: ", ")),
                exitCode: Exit.space)
        }
    }

    private func ask(_ plan: CachePruning) throws {
        Interruption.endAtOnce()
        guard !plan.removed.isEmpty else { return }
        guard isatty(STDIN_FILENO) == 1 else { throw UsageError("to remove without being asked, give --yes") }
        for item in plan.removed {
            Console.note(
                "\(item.kind)  \(Console.name(item.recording ?? item.name ?? item.path))  \(Format.bytes(item.bytes))")
        }
        Console.write("remove \(Format.bytes(plan.bytesBefore - plan.bytesAfter))? [y/N] ", to: STDERR_FILENO)
        guard let line = readLine(), ["y", "yes"].contains(line.lowercased()) else { throw ExitCode(1) }
    }
}

struct CacheRepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair", abstract: "Drop what is damaged, so that the next index run makes it again.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cache repair && longtake index ~/Recordings

            Reads everything. An index ends before its first damaged segment from then on and is partial. What dead runs \
            left is removed, the catalogue's list of recordings is made anew.
            """))

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        let progress = output.progress
        let repairs = try library.maintenance().repair { progress.show("read \(Format.bytes($0))") }
        progress.clear()
        if output.json {
            Console.json(repairs)
        } else {
            for item in repairs.repaired {
                Console.line(
                    output.isQuiet
                        ? item.index
                        : "\(item.action) \(item.index)  \(Console.name(item.path ?? item.name ?? ""))  "
                            + counted(item.frames, "frame") + " left")
            }
            for note in repairs.notes { output.warn(note) }
            output.note(
                repairs.repaired.isEmpty
                    ? "nothing was damaged; \(counted(repairs.recordings, "recording")) in the catalogue"
                    : "\(repairs.repaired.count) repaired; \(counted(repairs.recordings, "recording")) in the catalogue"
            )
        }
        if repairs.isPartial { throw ExitCode(Exit.partial) }
    }
}
