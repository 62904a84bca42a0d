import ArgumentParser
import Longtake

struct CacheVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Check the cache for damage.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake cache verify                   the structure of all files
              longtake cache verify --read-data       every byte of every frame
              longtake cache verify --subset 2/7      every byte of a seventh of the files

            Changes nothing. The exit status is 17 if there is damage; `longtake cache repair` drops it.
            """))

    @Flag(help: "Read every frame and verify its checksums.")
    var readData = false

    @Option(help: "Read only part N of M of the data, as N/M; together the parts are all data.")
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
                if found.otherVersions > 0 { line += "; \(found.otherVersions) of other versions skipped" }
                Console.line(line)
            }
        }
        if !found.isClean {
            throw Failure(
                code: "damaged",
                message: "\(found.damage.count) damaged: `longtake cache repair` drops them, the next `longtake index` "
                    + "writes them again", exitCode: Exit.damaged)
        }
    }
}
