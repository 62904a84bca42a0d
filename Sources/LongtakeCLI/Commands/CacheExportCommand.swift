import ArgumentParser
import Foundation
import Glibc
import Longtake

struct CacheExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write indexes as archives, for the cache of another machine.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake cache export vid_0f3a9c2e --to /mnt/usb
              longtake cache export day.mp4 night.mp4 --to archives
              ssh big longtake cache export vid_0f3a9c2e --to - | longtake cache import -

            Writes DIR/INDEX.tar for every index of each recording, all of it verified. The recording itself is not in it: the \
            other machine answers without it. Archives that are there and whole are left, so an interrupted export is continued \
            by the same command. If one fails, the others are still written; the exit status is then 3.
            """))

    @Argument(
        help: """
            IDs, starts of IDs, paths they were indexed from, or ends of such paths: exports all finished indexes of these \
            recordings. Or the ID of an index (`longtake show`): exports that one.
            """, completion: RecordingCompletion.indexed)
    var recordings: [String]

    @Option(
        help: ArgumentHelp(
            "Folder for the archives, created if missing; - writes them to standard output, one after another.",
            valueName: "dir"), completion: .directory)
    var to: String

    @OptionGroup var library: LibraryOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        let isStream = to == "-"
        if isStream, isatty(STDOUT_FILENO) == 1 {
            throw UsageError("standard output is a terminal: redirect it, or give a folder with --to DIR")
        }
        // Nothing is left of an archive in a pipe; in a folder its temporary file is removed.
        if isStream { Interruption.endAtOnce() }
        let library = try library.open(telling: output)
        let report = TransferReport(output, verb: "exported", isStream ? STDERR_FILENO : STDOUT_FILENO)
        for index in try indexes(library, report) {
            try Interruption.check()
            report.add(index) {
                isStream
                    ? try library.export(
                        index: index, toDescriptor: STDOUT_FILENO, name: "standard output", progress: report.show)
                    : try library.export(
                        index: index, to: to, cancellation: Interruption.cancellation, progress: report.show)
            }
            // An archive that was begun cannot be followed by another one.
            if isStream, report.failed > 0 { break }
        }
        try Interruption.check()
        try report.end()
    }

    /// The IDs of the indexes to export, each once.
    private func indexes(_ library: Library, _ report: TransferReport) throws -> [String] {
        var seen: Set<String> = []
        var found: [String] = []
        for name in recordings {
            do {
                let all = try library.recordings(matching: name, newest: true)
                let finished = all.filter(\.isFinished)
                if let item = all.first, finished.isEmpty {
                    throw Failure(
                        code: "locked", message: "\(name): its index is not finished (\(item.state.rawValue))",
                        exitCode: Exit.locked)
                }
                found += finished.map(\.index).filter { seen.insert($0).inserted }
            } catch {
                report.add(name) { throw error }
            }
        }
        return found
    }
}
