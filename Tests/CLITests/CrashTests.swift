import Foundation
import Glibc
import TestSupport
import Testing

/// Runs that are killed, at any time and at the places where it would hurt most.
///
/// LONGTAKE_CRASHES says how many, LONGTAKE_LONG what percentage of 1,000; otherwise 30. LONGTAKE_CRASH_SEED repeats a run.
@Suite struct CrashTests {
    private static let points = [
        "record-written", "footer-written", "file-synced", "file-verified", "patches-linked", "segment-linked",
        "folder-synced", "manifest-written", "manifest-renamed", "sample-linked", "patches-removed", "manifest-dropped",
        "set-aside", "buried",
    ]

    private struct Kind {
        let arguments: [String]
        let wanted: [String: Data]
        let seconds: Double
    }

    private func folder(_ tool: Tool) throws -> String? {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: tool.path("cache/indexes"))) ?? []
        #expect(names.filter { !$0.hasSuffix(".previous") }.count <= 1)
        return names.first { !$0.hasSuffix(".previous") }.map { tool.path("cache/indexes/" + $0) }
    }

    @Test func `killed at any time, what was sealed is whole and the end is the same`() throws {
        let environment = ProcessInfo.processInfo.environment
        let asked = environment["LONGTAKE_CRASHES"].flatMap(Int.init) ?? LongRun.count(of: 1000) ?? 30
        let seed = environment["LONGTAKE_CRASH_SEED"].flatMap(UInt64.init) ?? UInt64(Date().timeIntervalSince1970)
        var random = SeededNumbers(state: seed)
        let start = ContinuousClock.now
        let video = try Fixtures.video.get()
        // Two whole segments and a short one.
        let kinds = try [["--keep", "patches"], ["--keep", "tokens"]].map { keep in
            let tool = try Tool()
            defer { tool.remove() }
            let arguments = ["index", video, "--fps", "110", "--quiet"] + keep
            let begin = ContinuousClock.now
            try #require(try tool.run(arguments).status == 0)
            let took = ContinuousClock.now - begin
            return Kind(
                arguments: arguments, wanted: try indexFiles(try #require(try folder(tool))),
                seconds: Double(took.components.seconds) + Double(took.components.attoseconds) * 1e-18)
        }
        var (kills, ends, resumed) = (0, 0, 0)
        var told = 0
        while kills < asked {
            if kills >= told + 100 {
                told = kills
                print(
                    "\(kills) kills, \(resumed) resumed, \((ContinuousClock.now - start).components.seconds) s, seed \(seed)"
                )
                fflush(nil)
            }
            let kind = kinds[ends % 2]
            let tool = try Tool()
            defer { tool.remove() }
            var isForced = false
            // Until it gets through: a machine that is killed ten times an hour gets there too.
            for attempt in 0..<200 {
                var run = tool
                let isLast = attempt > 8
                let atPoint = Bool.random(using: &random)
                var arguments = kind.arguments
                if atPoint, !isLast {
                    let point = Self.points.randomElement(using: &random) ?? "segment-linked"
                    let most = point == "record-written" ? 2000 : 6
                    run.environment["LONGTAKE_CRASH_AT"] = "\(point):\(Int.random(in: 1...most, using: &random))"
                }
                // An index that is whole is made anew at times: the old one must survive the kill.
                let wasWhole = try folder(tool).map { FileManager.default.fileExists(atPath: $0 + "/manifest.json") }
                if wasWhole == true, !isForced, Bool.random(using: &random) {
                    arguments.append("--force")
                    isForced = true
                }
                let (process, output, errors) = try run.start(arguments)
                if !atPoint, !isLast {
                    let delay = Double.random(in: 0...kind.seconds * 1.1, using: &random)
                    usleep(UInt32(delay * 1e6))
                    kill(process.processIdentifier, SIGKILL)
                }
                _ = output.fileHandleForReading.readDataToEndOfFile()
                let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
                process.waitUntilExit()
                let wasKilled = process.terminationReason == .uncaughtSignal
                if wasKilled {
                    kills += 1
                    try #require(process.terminationStatus == SIGKILL, "seed \(seed): \(said)")
                } else {
                    try #require(process.terminationStatus == 0, "seed \(seed): \(said)")
                }
                guard try folder(tool) != nil || FileManager.default.fileExists(atPath: tool.path("cache")) else {
                    continue
                }
                let check = try tool.run("cache", "verify", "--read-data", "--json")
                try #require(check.status == 0, "seed \(seed), kill \(kills): \(check.text) \(check.errors)")
                if !wasKilled, !arguments.contains("--force") || attempt > 0 {
                    if attempt > 0 { resumed += 1 }
                    break
                }
            }
            // Once more without a kill: what a crash behind the manifest left is cleared.
            try #require(try tool.run(kind.arguments).status == 0)
            let found = try indexFiles(try #require(try folder(tool)))
            try #require(Set(found.keys) == Set(kind.wanted.keys), "seed \(seed): \(found.keys.sorted())")
            for (name, data) in kind.wanted { try #require(found[name] == data, "seed \(seed): \(name) differs") }
            ends += 1
        }
        #expect(resumed > 0)
        let took = ContinuousClock.now - start
        print("crashes: \(kills) kills, \(ends) indexes made of them, \(took.components.seconds) s, seed \(seed)")
    }
}
