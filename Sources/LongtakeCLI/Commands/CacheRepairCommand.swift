import ArgumentParser
import Longtake

struct CacheRepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair", abstract: "Drop damaged data, which the next index run writes again.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cache repair && longtake index ~/Recordings

            Reads everything. A damaged index is cut before its first damaged segment and is then partial. Leftovers of \
            killed runs are removed, and the catalog's list of recordings is rebuilt.
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
                    ? "no damage found; \(counted(repairs.recordings, "recording")) in the catalog"
                    : "\(repairs.repaired.count) repaired; \(counted(repairs.recordings, "recording")) in the catalog"
            )
        }
        if repairs.isPartial { throw ExitCode(Exit.partial) }
    }
}
