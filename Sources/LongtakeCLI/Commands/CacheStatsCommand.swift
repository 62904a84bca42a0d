import ArgumentParser
import Longtake

struct CacheStatsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Print the size of the cache and what it consists of.",
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
            ["holds", "\(Format.bytes(stats.bytes)) of at most \(Format.bytes(stats.maxBytes))"],
            ["free", "\(Format.bytes(stats.freeBytes)) on its file system"],
            [
                "indexes",
                "\(stats.indexes), \(counted(stats.frames, "frame")); \(stats.indexesWithPatches) with all patches",
            ],
            ["patches", Format.bytes(stats.patchBytes)],
        ]
        if stats.derivedBytes > 0 { rows.append(["prefix caches", Format.bytes(stats.derivedBytes)]) }
        if stats.trashBytes > 0 { rows.append(["trash", Format.bytes(stats.trashBytes)]) }
        if stats.unfinished > 0 {
            rows.append(["unfinished", "\(stats.unfinished), \(Format.bytes(stats.unfinishedBytes))"])
        }
        if stats.otherVersions > 0 {
            rows.append([
                "other", "\(stats.otherVersions) of other versions, \(Format.bytes(stats.otherVersionsBytes))",
            ])
        }
        if stats.damaged > 0 { rows.append(["damaged", "\(stats.damaged): run `longtake cache verify`"]) }
        if stats.beingWritten > 0 { rows.append(["being written", "\(stats.beingWritten)"]) }
        Console.line(Format.table(rows))
    }
}
