import Foundation
import Testing

/// The program's output, exit statuses and files, compared with those of an earlier version by `scripts/compare-programs`.
@Suite struct ComparisonTests {
    private static let repository = BundledModelTests.repository

    private static func compare(_ program: String, _ options: [String]) throws -> (status: Int32, report: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments =
            ["-B", repository + "/scripts/compare-programs", repository + "/Tests/Comparison/results.json", program]
            + options
        #if DEBUG
            // A debug build rounds in other places than the release build that recorded the results.
            process.arguments?.append("--approximate")
        #endif
        let output = Pipe()
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        let report = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, report)
    }

    @Test func `outputs, exit statuses and files are those of an earlier version`() throws {
        let (status, report) = try Self.compare(Tool.executable.path, ["--suite"])
        #expect(status == 0, "\(report)")
        // Says whether all bytes were compared, or another machine recorded them.
        print(report)
    }

    @Test func `a changed byte is reported`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        // Changes a byte of the manifest's segment list, of the index and of the exit status.
        let wrapper = tool.path("wrong")
        try Data(
            """
            #!/bin/sh
            '\(Tool.executable.path)' "$@"
            status=$?
            for file in again/cache/indexes/*/manifest.json; do
                [ ! -f "$file" ] || sed -i 's/"frames":4,/"frames":5,/' "$file"
            done
            [ "$1" != ls ] || exit 3
            exit $status
            """.utf8
        ).write(to: URL(filePath: wrapper))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: wrapper)
        let (status, report) = try Self.compare(wrapper, ["--only", "an index of an earlier version"])
        #expect(status == 1, "\(report)")
        #expect(report.contains(/DIFFERENT  .*longtake ls .*exit status/), "\(report)")
        #expect(report.contains(/DIFFERENT  .*files kept: again\/cache\/indexes\/\w+\/manifest.json/), "\(report)")
        #expect(report.contains("2 differences"), "\(report)")
    }
}
