import Foundation
import Testing

/// Examples/ask, which sees only what is public, prints what docs/library.md shows.
@Suite struct ExampleTests {
    @Test func `the example indexes a recording and answers a question`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "longtake-example-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let process = Process()
        process.executableURL = Tool.executable.deletingLastPathComponent().appending(path: "AskExample")
        process.arguments = [
            BundledModelTests.repository + "/Models/nano", folder.path,
            BundledModelTests.repository + "/Tests/Comparison/kept/kept.mp4", "Which shape is on the right?",
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let lines = text.split(separator: "\n")
        #expect(lines.contains("4 of 4 frames"), "\(text)")
        #expect(lines.suffix(2) == ["a red star", "seen from 0.0 s to 3.0 s"], "\(text)")
    }
}
