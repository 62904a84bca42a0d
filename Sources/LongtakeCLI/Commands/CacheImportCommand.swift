import ArgumentParser
import Glibc
import Longtake

struct CacheImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Add indexes from archives to the cache.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake cache import /mnt/usb                                       all *.tar in the folder
              longtake cache import archives/97bf1692c6cda363c69e796bfb68e27a.tar
              ssh big longtake cache export vid_0f3a9c2e --to - | longtake cache import -

            Every byte is verified before an index becomes visible. A complete index that is there already is left; a shorter or \
            damaged one is replaced. Questions need the model that the index was made with, but not the recording, which counts \
            as unreachable until its file is at the path it was indexed from. If an archive fails, the others are still imported; \
            the exit status is then 3.
            """))

    @Argument(
        help: "Archives of `longtake cache export`, folders with such (*.tar), or - for standard input.",
        completion: .file(extensions: ["tar"]))
    var archives: [String]

    @Option(
        .cacheMax,
        """
        Maximum size of the cache: 500000000, 200G, 80% of the file system. The least recently asked indexes are removed \
        to stay below it.
        """, environmentNote: "else 80% of the free space at the first use")
    var cacheMax: String?

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        guard archives == ["-"] || !archives.contains("-") else {
            throw UsageError("- is standard input, and excludes files and folders")
        }
        let library = try library.open(cacheMax: cacheMax)
        let report = TransferReport(output, verb: "imported", STDOUT_FILENO)
        if archives == ["-"] {
            if isatty(STDIN_FILENO) == 1 { throw UsageError("standard input is a terminal: give archives, or a pipe") }
            do {
                try library.importIndexes(
                    fromDescriptor: STDIN_FILENO, name: "standard input", cancellation: Interruption.cancellation,
                    progress: report.show
                ) { result in report.add("standard input") { try result.get() } }
            } catch {
                try Interruption.check()
                report.add("standard input") { throw error }
            }
        } else {
            for archive in try Library.archives(archives) {
                try Interruption.check()
                report.add(archive) {
                    try library.importIndex(
                        archive, cancellation: Interruption.cancellation, progress: report.show)
                }
            }
        }
        try Interruption.check()
        try report.end()
    }
}
