import Foundation
import Glibc
import TestSupport
import Testing

/// A pipeline on several machines: whatever workers do, the indexes and answers are those of one machine.
@Suite(.serialized) struct ClusterCommandTests {
    /// A library with recordings, one of them as long as wanted, and a pipeline; `OUT` is where its outputs go.
    private static func prepare(recordings: Bool = true, seconds: Int = 400) throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["LONGTAKE_MODEL"] = BundledModelTests.repository + "/Models/nano"
        tool.environment["OUT"] = tool.path("one")
        try FileManager.default.createDirectory(atPath: tool.path("recordings"), withIntermediateDirectories: true)
        let text = """
            version: 1
            name: shared
            inputs: [recordings]
            order: path
            fps: 4
            questions:
              - {id: what, ask: "What is shown?"}
              - {id: more, ask: "What color is it?", if: 'the answer to what is not "nobody"'}
              - {id: part, ask: "Is there a circle?", answer: yes_no, every: 5m}
            outputs:
              - "${OUT}/answers.jsonl"
              - "${OUT}/answers.csv"
              - "${OUT}/{name}.vtt"
            """
        try Data(text.utf8).write(to: URL(filePath: tool.path("night.yaml")))
        guard recordings else { return tool }
        for (name, source, seconds) in [
            ("a-long.mkv", "testsrc=size=64x48:rate=4", seconds), ("b.mp4", "smptebars=size=64x48:rate=4", 5),
            ("c.mkv", "mandelbrot=size=64x48:rate=4", 7),
        ] {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", source, "-t", "\(seconds)", "-c:v", "mpeg4", "-threads", "1",
                tool.path("recordings/" + name))
        }
        try Data("no recording".utf8).write(to: URL(filePath: tool.path("recordings/d.mkv")))
        return tool
    }

    /// The files of all indexes of a cache by name, manifests without the time they were made.
    private func indexes(_ cache: String) throws -> [String: Data] {
        var files: [String: Data] = [:]
        let folder = cache + "/indexes"
        for name in FileManager.default.enumerator(atPath: folder)?.compactMap({ $0 as? String }) ?? [] {
            let path = folder + "/" + name
            guard name.hasSuffix(".seg") || name.hasSuffix(".pat") || name.hasSuffix("manifest.json") else { continue }
            var data = try Data(contentsOf: URL(filePath: path))
            if name.hasSuffix("manifest.json") {
                let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
                var manifest = try #require(object["manifest"] as? [String: Any])
                manifest["created"] = nil
                data = try JSONSerialization.data(withJSONObject: manifest, options: .sortedKeys)
            }
            files[name] = data
        }
        return files
    }

    /// Without AVX-512 the last bits of a score depend on how many questions are asked together.
    private var isExact: Bool {
        (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.contains(" avx512f") == true
    }

    /// The text of an output without times of runs, measurements and run IDs.
    private func normalized(_ path: String) throws -> [String] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
            .replacing(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/, with: "RUN")
            .replacing(/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z/, with: "TIME")
        guard path.hasSuffix(".jsonl") else { return [text] }
        return try text.split(separator: "\n").map { line in
            var object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            object["timings"] = nil
            if !isExact { (object["certainty"], object["focus"]) = (nil, nil) }
            return String(
                decoding: try JSONSerialization.data(withJSONObject: object, options: .sortedKeys), as: UTF8.self)
        }
    }

    /// The same recordings in another library, whose outputs go elsewhere.
    private func other(_ tool: Tool, _ name: String) -> Tool {
        var other = tool
        other.environment["LONGTAKE_CACHE_DIR"] = tool.path(name + "-cache")
        other.environment["LONGTAKE_DATA_DIR"] = tool.path(name + "-data")
        other.environment["OUT"] = tool.path(name)
        return other
    }

    private func plan(_ tool: Tool, shards: Int, run: String = "shared") throws -> [String: Any] {
        let made = try tool.run(
            "cluster", "plan", "night.yaml", "--shards", "\(shards)", "--run", run, "--unit-frames", "600", "--json")
        #expect(made.status == 0, "\(made.errors)")
        return try made.object()
    }

    @Test func `two workers make the indexes and answers of one machine`() throws {
        let one = try Self.prepare()
        defer { one.remove() }
        #expect(try one.run("run", "night.yaml").status == 3)
        let many = other(one, "many")
        let made = try plan(many, shards: 2)
        // 1600 frames in three units, three other recordings, four times questions.
        #expect(made["units"] as? Int == 10 && made["shards"] as? Int == 4 && made["recordings"] as? Int == 4)
        // Questions come after the index.
        let early = try many.run("cluster", "worker", "--run", "shared", "--shard", "2", "--json")
        #expect(early.status == 75 && early.errors.contains("not indexed yet"), "\(early.errors)")
        for shard in ["1", "0", "3", "2"] {
            let worked = try many.run("cluster", "worker", "--run", "shared", "--shard", shard)
            #expect(worked.status == 0, "\(worked.errors)")
        }
        let again = try many.run("cluster", "worker", "--run", "shared", "--shard", "0", "--json").lines()
        #expect(again.last?["published"] as? Int == 0)
        let status = try many.run("cluster", "status", "--run", "shared")
        #expect(status.status == 0 && status.text.contains("10 of 10 units done"), "\(status.text)")

        let collected = try many.run("cluster", "collect", "--run", "shared")
        #expect(collected.status == 3, "\(collected.errors)")
        let (mine, theirs) = (try indexes(one.path("cache")), try indexes(one.path("many-cache")))
        #expect(mine.keys.sorted() == theirs.keys.sorted() && mine.count >= 10)
        for (name, data) in mine {
            #expect(
                theirs[name] == data,
                "\(name): \(String(decoding: data.prefix(3000), as: UTF8.self)) \(String(decoding: (theirs[name] ?? Data()).prefix(3000), as: UTF8.self))"
            )
        }
        for name in ["answers.jsonl", "answers.csv", "a-long.vtt", "b.vtt", "c.vtt"] {
            #expect(try normalized(one.path("many/" + name)) == normalized(one.path("one/" + name)), "\(name)")
        }
        let before = try Data(contentsOf: URL(filePath: one.path("many/answers.jsonl")))
        #expect(before.split(separator: 10).count >= 9)
        #expect(try many.run("cluster", "collect", "--run", "shared").status == 3)
        #expect(try Data(contentsOf: URL(filePath: one.path("many/answers.jsonl"))) == before)
        // What was collected needs no work by a run on this machine.
        let run = try many.run("run", "night.yaml", "--json").lines()
        #expect(run.last?["answers"] as? Int ?? 0 == 0 && run.last?["files_new"] as? Int ?? 0 == 0)
    }

    @Test func `a stopped worker is continued, and of two at once one publishes`() throws {
        let tool = try Self.prepare()
        defer { tool.remove() }
        _ = try plan(tool, shards: 1)
        let arguments = ["cluster", "worker", "--run", "shared", "--shard", "0", "--scratch", tool.path("scratch")]
        func starts() -> Int {
            let log = try? String(contentsOfFile: tool.path("shared/attempts/0.jsonl"), encoding: .utf8)
            return (log?.components(separatedBy: "\"event\":\"start\"").count ?? 1) - 1
        }
        func hasBegun() -> Bool {
            FileManager.default.enumerator(atPath: tool.path("scratch"))?
                .contains { ($0 as? String)?.hasSuffix(".tmp") == true } == true
        }
        // In the middle of a unit, and before the model is there.
        for number in [SIGTERM, SIGUSR1] {
            let before = starts()
            let (process, output, errors) = try tool.start(arguments)
            while process.isRunning, number == SIGTERM ? !hasBegun() : starts() <= before { usleep(2000) }
            kill(process.processIdentifier, number)
            _ = output.fileHandleForReading.readDataToEndOfFile()
            let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationReason == .exit && process.terminationStatus == 75, "\(said)")
            #expect(said.contains(/run (the shard|shard 0) again/), "\(said)")
        }
        var two = tool
        two.environment["TMPDIR"] = tool.path("second")
        try FileManager.default.createDirectory(atPath: tool.path("second"), withIntermediateDirectories: true)
        let first = try tool.start(arguments + ["--json"])
        let second = try two.start(Array(arguments.dropLast(2)) + ["--json"])
        var published = 0
        for (process, output, errors) in [first, second] {
            let lines = output.fileHandleForReading.readDataToEndOfFile().split(separator: 10)
            let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(said)")
            let line = try #require(lines.last)
            let last = try #require(try JSONSerialization.jsonObject(with: line) as? [String: Any])
            published += last["published"] as? Int ?? 0
        }
        let log = try String(contentsOfFile: tool.path("shared/attempts/0.jsonl"), encoding: .utf8)
        #expect(log.components(separatedBy: "\"event\":\"published\"").count - 1 == 5, "\(log)")
        #expect(published <= 5)
        let names = try FileManager.default.contentsOfDirectory(atPath: tool.path("shared/published"))
        #expect(names.count == 5 && names.allSatisfy { $0.hasSuffix(".tar") }, "\(names)")
    }

    @Test func `what is damaged or missing is found, and its unit done again`() throws {
        let tool = try Self.prepare(seconds: 160)
        defer { tool.remove() }
        _ = try plan(tool, shards: 1)
        for shard in ["0", "1"] { _ = try tool.run("cluster", "worker", "--run", "shared", "--shard", shard) }
        let folder = tool.path("shared/published") + "/"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        for (number, name) in names.enumerated() {
            var data = try Data(contentsOf: URL(filePath: folder + name))
            if number % 3 == 0 { data[data.count / 2] ^= 4 }
            if number % 3 == 1 { data = data.prefix(data.count - 100) }
            if number % 3 == 2 { data = Data() }
            try data.write(to: URL(filePath: folder + name))
        }
        let refused = try tool.run("cluster", "collect", "--run", "shared")
        #expect(refused.status == 3 && refused.errors.contains("damaged (removed)"), "\(refused.errors)")
        #expect(refused.errors.contains("run the shards 0"), "\(refused.errors)")
        #expect(!FileManager.default.fileExists(atPath: tool.path("one/answers.vtt")))
        // Answers whose index is missing are found the next time.
        for _ in 0..<2 {
            for shard in ["0", "1"] { _ = try tool.run("cluster", "worker", "--run", "shared", "--shard", shard) }
            _ = try tool.run("cluster", "collect", "--run", "shared")
        }
        let done = try tool.run("cluster", "collect", "--run", "shared", "--json")
        #expect(done.status == 3, "\(done.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == names)
        let lines = try String(contentsOfFile: tool.path("one/answers.jsonl"), encoding: .utf8).split(separator: "\n")
        #expect(lines.count >= 9)
    }

    @Test func `refusals name what is wrong`() throws {
        let tool = try Self.prepare(recordings: false)
        defer { tool.remove() }
        func worker(_ tool: Tool, _ shard: String = "0") throws -> (Int32, String) {
            let result = try tool.run("cluster", "worker", "--run", "shared", "--shard", shard)
            return (result.status, result.errors)
        }
        #expect(try worker(tool).0 == 10)
        let empty = try tool.run("cluster", "plan", "night.yaml", "--shards", "1", "--run", "shared")
        #expect(empty.status == 0 && empty.errors.contains("no recording is to be indexed"), "\(empty.errors)")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=64x48:rate=4", "-t", "3", "-c:v", "mpeg4", tool.path("recordings/a.mkv"))
        _ = try plan(tool, shards: 3)
        var (status, errors) = try worker(tool, "7")
        #expect(status == 64 && errors.contains("there is no shard 7; the plan has shards 0 to 1"), "\(errors)")
        var changed = tool
        changed.environment["LONGTAKE_MODEL"] = try Fixtures.model.get()
        (status, errors) = try worker(changed)
        #expect(status == 12 && errors.contains("on this machine are others"), "\(errors)")
        changed = tool
        changed.environment["LONGTAKE_KEEP"] = "tokens"
        (status, errors) = try worker(changed)
        #expect(status == 64 && errors.contains("settings differ"), "\(errors)")
        // Another plan in the same folder.
        let other = try tool.run(
            "cluster", "plan", "night.yaml", "--shards", "1", "--run", "shared", "--unit-frames", "1200",
            "--seconds-per-frame", "2")
        #expect(other.status == 0, "the same units: \(other.errors)")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=64x48:rate=4", "-t", "4", "-c:v", "mpeg4", tool.path("recordings/b.mkv"))
        let refused = try tool.run("cluster", "plan", "night.yaml", "--shards", "1", "--run", "shared")
        #expect(refused.status == 64 && refused.errors.contains("the plan of another run"), "\(refused.errors)")
        // Recordings whose storage is away: nothing is recorded as failed.
        let (folder, away) = (tool.path("recordings"), tool.path("away"))
        try FileManager.default.moveItem(atPath: folder, toPath: away)
        (status, errors) = try worker(tool)
        #expect(status == 75 && errors.contains("run shard 0 again"), "\(errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: tool.path("shared/failed")).isEmpty)
        try FileManager.default.moveItem(atPath: away, toPath: folder)
        // A recording that changed after the plan.
        let file = try FileHandle(forWritingTo: URL(filePath: tool.path("recordings/a.mkv")))
        try file.seekToEnd()
        try file.write(contentsOf: Data([0]))
        try file.close()
        let done = try tool.run("cluster", "worker", "--run", "shared", "--shard", "0")
        #expect(done.status == 0 && done.text.contains("changed since the plan was made"), "\(done.text)")
        let plan = tool.path("shared/run.json")
        let text = try String(contentsOfFile: plan, encoding: .utf8)
        try Data(text.replacing("\"program\" : \"", with: "\"program\" : \"0.0.1 ").utf8).write(to: URL(filePath: plan))
        (status, errors) = try worker(tool)
        #expect(status == 12 && errors.contains("planned by 0.0.1"), "\(errors)")
        try Data("{".utf8).write(to: URL(filePath: plan))
        (status, errors) = try worker(tool)
        #expect(status == 17, "\(errors)")
    }
}
