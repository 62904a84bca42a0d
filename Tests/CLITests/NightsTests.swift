import Foundation
import Glibc
import TestSupport
import Testing

/// Many nights over many recordings, with the bundled model: limited runs, damaged files, kills, two runs at once.
///
/// LONGTAKE_LONG is the percentage of 200 recordings, 20 kills and a backlog of 40 recordings.
@Suite(.serialized) struct NightsTests {
    private static let codecs = [
        ("mkv", ["-c:v", "mpeg4"]), ("mp4", ["-c:v", "libx264", "-preset", "ultrafast"]),
        ("ts", ["-c:v", "libx264", "-preset", "ultrafast"]), ("webm", ["-c:v", "libvpx", "-deadline", "realtime"]),
        ("avi", ["-c:v", "mjpeg"]), ("mpg", ["-c:v", "mpeg2video"]), ("mov", ["-c:v", "mpeg4"]),
        ("mkv", ["-c:v", "ffv1"]), ("webm", ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]),
        ("mkv", ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"]),
    ]

    private func tool() throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["LONGTAKE_MODEL"] = BundledModelTests.repository + "/Models/nano"
        return tool
    }

    /// Two things of the world, moving; each recording has other pictures.
    private func make(_ tool: Tool, _ name: String, number: Int, seconds: Int, codec: [String]) throws {
        let path = tool.path("recordings/" + name)
        try FileManager.default.createDirectory(
            at: URL(filePath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
        let source = [
            "testsrc=size=128x96:rate=4", "smptebars=size=128x96:rate=4", "mandelbrot=size=128x96:rate=4",
        ][number % 3]
        try Fixtures.ffmpeg(
            [
                "-f", "lavfi", "-i", "\(source)", "-t", "\(seconds)", "-vf", "hue=h=\(number * 37 % 360)",
                "-pix_fmt", codec.contains("mjpeg") ? "yuvj420p" : "yuv420p", "-threads", "1",
            ] + codec + [path])
    }

    private func age(_ tool: Tool, _ name: String, minutes: Int) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -60 * Double(minutes))],
            ofItemAtPath: tool.path("recordings/" + name))
    }

    /// Twelve files that are damaged in twelve ways.
    private func makeBroken(_ tool: Tool) throws {
        let folder = tool.path("recordings/broken")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        func bytes(_ name: String) throws -> Data { try Data(contentsOf: URL(filePath: folder + "/" + name)) }
        func write(_ name: String, _ data: Data) throws { try data.write(to: URL(filePath: folder + "/" + name)) }
        func ffmpeg(_ arguments: [String], _ name: String) throws {
            try Fixtures.ffmpeg(arguments + [folder + "/" + name])
        }
        let picture = ["-f", "lavfi", "-i", "testsrc=size=128x96:rate=4:duration=3"]
        try ffmpeg(picture + ["-c:v", "libx264", "-preset", "ultrafast"], "source.mp4")
        try ffmpeg(picture + ["-c:v", "mpeg4"], "source.mkv")
        let (mp4, mkv) = (try bytes("source.mp4"), try bytes("source.mkv"))
        for name in ["source.mp4", "source.mkv"] { try FileManager.default.removeItem(atPath: folder + "/" + name) }
        var random = SeededNumbers(state: 12)
        let noise = Data((0..<20_000).map { _ in UInt8.random(in: 0...255, using: &random) })
        try write("empty.mp4", Data())
        try write("zeros.mkv", Data(count: 50_000))
        try write("noise.mp4", noise)
        try write("noise.ts", noise)
        try write("text.mkv", Data("This is not a recording.\n".utf8))
        try write("page.mp4", Data("<!DOCTYPE html><title>404 Not Found</title>".utf8))
        try write("no-end.mp4", mp4.prefix(mp4.count / 2))
        try write("header.mkv", mkv.prefix(40))
        try write("overwritten.mkv", noise.prefix(600) + mkv.dropFirst(600))
        try write("pointer.mp4", Data("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n".utf8))
        try ffmpeg(["-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac"], "sound.mp4")
        var moved = mp4
        // The index of the samples is no longer called that.
        if let range = moved.range(of: Data("moov".utf8)) { moved.replaceSubrange(range, with: Data("mooo".utf8)) }
        try write("moov.mp4", moved)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            try age(tool, "broken/" + name, minutes: 30)
        }
    }

    /// The lines of all answers, without what differs between two runs: times, measurements and the run's ID.
    private func answers(_ path: String) throws -> [String] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        return try text.split(separator: "\n").map { line in
            var object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            for key in ["created", "time", "run_id", "timings"] { object[key] = nil }
            if !isExact { object["certainty"] = nil }
            return String(
                decoding: try JSONSerialization.data(withJSONObject: object, options: .sortedKeys), as: UTF8.self)
        }
    }

    /// Without AVX-512 the last bits of a score depend on how many questions are asked together.
    private var isExact: Bool {
        (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.contains(" avx512f") == true
    }

    /// A document without times of runs and their IDs.
    private func normalized(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
            .replacing(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/, with: "RUN")
            .replacing(/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z/, with: "TIME")
    }

    private func files(_ folder: String, _ suffix: String) throws -> [String] {
        let found = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return found.filter { $0.hasSuffix(suffix) }.sorted()
    }

    /// The shipped file, with more outputs.
    private func pipeline(_ tool: Tool) throws -> String {
        try FileManager.default.createDirectory(atPath: tool.path("pipelines"), withIntermediateDirectories: true)
        let shipped = try String(
            contentsOfFile: BundledModelTests.repository + "/pipelines/nightly.yaml", encoding: .utf8)
        let output = "  - ../answers/nightly.jsonl\n"
        try #require(shipped.contains(output))
        let text = shipped.replacing(
            output, with: output + "  - ../answers/nightly.csv\n  - \"../answers/{folder}-{name}.vtt\"\n")
        try Data(text.utf8).write(to: URL(filePath: tool.path("pipelines/nightly.yaml")))
        return "pipelines/nightly.yaml"
    }

    private func summary(_ result: Tool.Result) throws -> [String: Any] {
        try #require(try result.lines().last { $0["message_type"] as? String == "summary" }, "\(result.errors)")
    }

    @Test func `nights over many recordings, some damaged, with kills and two runs at once`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let count = LongRun.count(of: 200).map { max($0, 24) } ?? 24
        let kills = LongRun.count(of: 20).map { max($0, 3) } ?? 3
        let seed = UInt64(Date().timeIntervalSince1970)
        var random = SeededNumbers(state: seed)
        var names: [String] = []
        for number in 0..<count - 12 {
            let (suffix, codec) = Self.codecs[number % Self.codecs.count]
            let name = "day\(number / 50)/r\(number).\(suffix)"
            try make(tool, name, number: number, seconds: 2 + number % 3, codec: codec)
            try age(tool, name, minutes: 60 + number)
            names.append(name)
        }
        try makeBroken(tool)
        let file = try pipeline(tool)

        // Undisturbed.
        let begin = ContinuousClock.now
        let first = try tool.run("run", file, "--json")
        let took = (ContinuousClock.now - begin) / .seconds(1)
        #expect(first.status == 3)
        let done = try summary(first)
        #expect(done["files_new"] as? Int == names.count, "\(done)")
        #expect(done["files_failed"] as? Int == 12, "\(done)")
        #expect(done["answers"] as? Int == 2 * names.count)
        let wanted = try answers(tool.path("answers/nightly.jsonl"))
        #expect(Set(wanted).count == 2 * names.count)
        let again = ContinuousClock.now
        let second = try tool.run("run", file, "--json")
        let secondTook = (ContinuousClock.now - again) / .seconds(1)
        #expect(second.status == 0, "\(second.errors)")
        let nothing = try summary(second)
        #expect(
            nothing["files_new"] as? Int == 0 && nothing["answers"] as? Int == 0
                && nothing["files_paused"] as? Int == 12)
        #expect(try answers(tool.path("answers/nightly.jsonl")) == wanted)
        let documents = try files(tool.path("answers"), ".vtt")
        #expect(documents.count == names.count)
        func outputs() throws -> [String: String] {
            var found = ["nightly.csv": try normalized(tool.path("answers/nightly.csv"))]
            for name in documents { found[name] = try normalized(tool.path("answers/" + name)) }
            return found
        }
        let wantedOutputs = try outputs()
        func indexes() throws -> [String: Data] {
            let root = tool.path("cache/indexes")
            var found: [String: Data] = [:]
            for name in try FileManager.default.contentsOfDirectory(atPath: root) {
                for (path, data) in try indexFiles(root + "/" + name) { found[name + "/" + path] = data }
            }
            return found
        }
        let wantedIndexes = try indexes()

        // The same with kills, from nothing.
        for folder in ["cache", "data", "answers"] {
            try FileManager.default.removeItem(atPath: tool.path(folder))
        }
        var killed = 0
        for attempt in 0..<20 * kills where killed < kills {
            let child = try Child(tool, "run", file, "-q")
            usleep(UInt32(Double.random(in: 0.05...max(0.1, took / Double(kills) * 0.9), using: &random) * 1e6))
            child.send(SIGKILL)
            let status = child.end().status
            if status == 256 + SIGKILL { killed += 1 } else if attempt > 4 * kills { break }
        }
        #expect(killed > 0)
        let last = try tool.run("run", file, "--json")
        #expect(last.status == 0 || last.status == 3, "\(last.errors)")
        let found = try answers(tool.path("answers/nightly.jsonl"))
        #expect(found == wanted, "seed \(seed): \(Set(found).symmetricDifference(wanted).prefix(4))")
        #expect(try files(tool.path("answers"), ".vtt") == documents)
        let foundOutputs = try outputs()
        for (name, text) in wantedOutputs where isExact { #expect(foundOutputs[name] == text, "seed \(seed): \(name)") }
        let foundIndexes = try indexes()
        #expect(Set(foundIndexes.keys) == Set(wantedIndexes.keys))
        for (name, data) in wantedIndexes { #expect(foundIndexes[name] == data, "seed \(seed): \(name) differs") }

        // Five are replaced; one is only touched.
        for (number, name) in names.prefix(5).enumerated() {
            let codec = Self.codecs[number % Self.codecs.count].1
            try make(tool, name, number: number + 1000, seconds: 3, codec: codec)
            try age(tool, name, minutes: 60 + number)
        }
        try age(tool, names[6], minutes: 15)
        let touched = try summary(tool.run("run", file, "--json"))
        #expect(touched["files_new"] as? Int == 5 && touched["answers"] as? Int == 10, "\(touched)")

        // Two at once over everything that is new: one goes, the other says who holds the lock.
        for folder in ["cache", "data", "answers"] {
            try FileManager.default.removeItem(atPath: tool.path(folder))
        }
        let (one, other) = (try Child(tool, "run", file, "-q"), try Child(tool, "run", file, "-q"))
        let third = try Child(tool, "run", file, "-q", "--wait-lock", "1h")
        let ends = [one.end(limit: 3600), other.end(limit: 3600), third.end(limit: 3600)]
        let refused = ends.filter { $0.status == 11 }
        #expect(
            refused.count <= 2
                && refused.allSatisfy { $0.errors.contains("another run of this pipeline is going on (process ") })
        #expect(ends[2].status == 0 || ends[2].status == 3)
        #expect(ends.contains { $0.status == 3 })
        let both = try answers(tool.path("answers/nightly.jsonl"))
        #expect(both.count == 2 * names.count && Set(both).count == both.count)
        print(
            "nights: \(count) recordings in \(took) s, again in \(secondTook) s, \(killed) kills, seed \(seed)")
    }

    /// Each night is far too short for the backlog, and outputs are moved away in between.
    @Test func `a backlog is worked off, newest first, each night answering what it indexed`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let count = LongRun.count(of: 40).map { max($0, 6) } ?? 6
        let seconds = LongRun.isWhole ? 60 : 12
        var names: [String] = []
        for number in 0..<count {
            // The newest is much longer than the others; they do not wait for it.
            let name = "r\(number).mkv"
            try make(
                tool, name, number: number, seconds: number == 0 ? seconds * 12 : seconds, codec: ["-c:v", "mpeg4"])
            try age(tool, name, minutes: 60 + number)
            names.append(name)
        }
        let yaml = """
            version: 1
            inputs: [recordings]
            questions: [{id: things, ask: What is on the table?, max_tokens: 8}, {id: red, ask: Is there anything red?, max_tokens: 8}]
            output: answers.jsonl
            """
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        var indexed: [String] = []
        var given: [(name: String, question: String)] = []
        var nights = 0
        func file(_ line: [String: Any]) -> String {
            let path = line["item"] as? String ?? (line["recording"] as? [String: Any])?["path"] as? String ?? ""
            return (path as NSString).lastPathComponent
        }
        while nights < 2000 {
            nights += 1
            let runs = try (0..<2).map { _ in try Child(tool, "run", "p.yaml", "--json", "--max-runtime", "2s") }
            let results = runs.map { $0.end(limit: 600) }
            #expect(results.allSatisfy { [0, 3, 11].contains($0.status) }, "\(results.map(\.errors))")
            #expect(results.contains { $0.status != 11 })
            for result in results where result.status != 11 {
                for line in try result.lines() where line["message_type"] as? String == "verbose_status" {
                    if ["new", "resumed"].contains(line["action"] as? String) { indexed.append(file(line)) }
                }
            }
            let output = tool.path("answers.jsonl")
            if FileManager.default.fileExists(atPath: output) {
                for line in try Data(contentsOf: URL(filePath: output)).split(separator: UInt8(ascii: "\n")) {
                    let answer = try #require(try JSONSerialization.jsonObject(with: line) as? [String: Any])
                    given.append((file(answer), answer["question_id"] as? String ?? ""))
                }
                try FileManager.default.moveItem(atPath: output, toPath: tool.path("night-\(nights).jsonl"))
            }
            // What is indexed is answered, in the same night.
            #expect(Set(given.map(\.name)) == Set(indexed), "night \(nights)")
            if results.contains(where: { $0.status == 0 }), Set(indexed).count == count { break }
        }
        #expect(Set(indexed) == Set(names) && indexed.count == count, "each is indexed once: \(indexed)")
        #expect(given.count == 2 * count && Set(given.map { $0.name + $0.question }).count == given.count)
        // The short ones newest first; the long one somewhere.
        let short = indexed.filter { $0 != names[0] }
        #expect(short == Array(names.dropFirst()), "\(indexed)")
        #expect(count < 3 || indexed.first != names[0] || nights == 1, "the long one does not go before the others")
        print(
            "backlog: \(count) recordings of \(seconds) s in \(nights) nights of 2 s, the long one at place \((indexed.firstIndex(of: names[0]) ?? -1) + 1)"
        )
    }
}
