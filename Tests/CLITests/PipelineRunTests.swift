import Foundation
import Glibc
import Testing

/// Runs of pipelines: order, outputs, what is asked once, what is tried again.
@Suite struct PipelineRunTests {
    /// A folder of short recordings, the last one the newest.
    private func recordings(_ tool: Tool, _ names: [String], seconds: Int = 3, source: String = "testsrc") throws {
        for (number, name) in names.enumerated() {
            let path = tool.path("recordings/" + name)
            try FileManager.default.createDirectory(
                at: URL(filePath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "\(source)=size=96x64:rate=5:duration=\(seconds)", "-metadata", "title=\(name)",
                "-c:v", "mpeg4", path)
            try age(path, seconds: 3600 * (names.count - number))
        }
    }

    private func age(_ path: String, seconds: Int) throws {
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -Double(seconds))], ofItemAtPath: path)
    }

    private func write(_ tool: Tool, _ yaml: String, to name: String = "p.yaml") throws -> String {
        try Data(yaml.utf8).write(to: URL(filePath: tool.path(name)))
        return tool.path(name)
    }

    private func lines(_ path: String) throws -> [[String: Any]] {
        try Data(contentsOf: URL(filePath: path)).split(separator: UInt8(ascii: "\n")).map {
            try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
        }
    }

    private func name(_ line: [String: Any]) -> String? {
        ((line["recording"] as? [String: Any])?["path"] as? String).map { URL(filePath: $0).lastPathComponent }
    }

    private static let two = "questions: [{id: a, ask: Who?, max_tokens: 2}, {id: b, ask: What?, max_tokens: 2}]\n"

    @Test func `each recording is asked about as soon as it is indexed, the newest first`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv", "c.mkv"])
        let pipeline = try write(tool, "version: 1\ninputs: [recordings]\n\(Self.two)output: o.jsonl\n")
        let result = try tool.run("run", pipeline, "--json")
        #expect(result.status == 0, "\(result.errors)")
        let steps = try result.lines().compactMap { line -> String? in
            let item = (line["item"] as? String).map { URL(filePath: $0).lastPathComponent } ?? ""
            switch line["message_type"] as? String {
            case "verbose_status": return "index \(item)"
            case "answer": return "ask \(item)"
            default: return nil
            }
        }
        #expect(
            steps == ["c", "b", "a"].flatMap { ["index \($0).mkv", "ask \($0).mkv", "ask \($0).mkv"] })
        for (order, names) in [("oldest", ["a", "b", "c"]), ("path", ["a", "b", "c"])] {
            let other = try write(
                tool, "version: 1\norder: \(order)\ninputs: [recordings]\n\(Self.two)output: \(order).jsonl\n",
                to: order + ".yaml")
            #expect(try tool.run("run", other).status == 0)
            #expect(
                try lines(tool.path(order + ".jsonl")).compactMap(name) == names.flatMap { ["\($0).mkv", "\($0).mkv"] })
        }
        // Short and large before long and small.
        for (name, seconds, rate) in [("long", 5, 1), ("short", 2, 25)] {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=160x120:rate=\(rate):duration=\(seconds)", "-c:v", "ffv1",
                tool.path("recordings/\(name).mkv"))
        }
        let shortest = try write(
            tool, "version: 1\norder: shortest\ninputs: [recordings]\n\(Self.two)output: shortest.jsonl\n",
            to: "shortest.yaml")
        #expect(try tool.run("run", shortest).status == 0)
        #expect(
            try lines(tool.path("shortest.jsonl")).compactMap(name)
                == ["short", "a", "b", "c", "long"].flatMap { ["\($0).mkv", "\($0).mkv"] })
    }

    @Test func `what was asked is known by the catalog, wherever the output went`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv"])
        let pipeline = try write(tool, "version: 1\ninputs: [recordings]\n\(Self.two)output: \"out/%Y/{date}.jsonl\"\n")
        #expect(try tool.run("run", pipeline).status == 0)
        let year = try #require(try FileManager.default.contentsOfDirectory(atPath: tool.path("out")).first)
        let file = try #require(try FileManager.default.contentsOfDirectory(atPath: tool.path("out/" + year)).first)
        #expect(file.hasPrefix(year + "-") && file.hasSuffix(".jsonl"))
        #expect(try lines(tool.path("out/\(year)/\(file)")).count == 4)
        try FileManager.default.moveItem(atPath: tool.path("out"), toPath: tool.path("away"))
        let again = try #require(try tool.run("run", pipeline, "--json").lines().last)
        #expect(again["answers"] as? Int == 0 && again["answers_unchanged"] as? Int == 4)
        #expect(try lines(tool.path("out/\(year)/\(file)")).isEmpty)

        // Without the catalog's answers, those in the output count.
        try FileManager.default.removeItem(atPath: tool.path("out"))
        try FileManager.default.moveItem(atPath: tool.path("away"), toPath: tool.path("out"))
        try FileManager.default.removeItem(atPath: tool.path("data"))
        let rebuilt = try #require(try tool.run("run", pipeline, "--json").lines().last)
        #expect(rebuilt["answers"] as? Int == 0 && rebuilt["answers_unchanged"] as? Int == 4)
        #expect(try lines(tool.path("out/\(year)/\(file)")).count == 4)
    }

    @Test(arguments: ["answers-recorded", "answers-appended"])
    func `a run killed while it writes leaves each answer once`(point: String) throws {
        var tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv"])
        let pipeline = try write(
            tool,
            "version: 1\ninputs: [recordings]\n\(Self.two)outputs: [o.jsonl, o.csv, o.sqlite, \"d/{name}.vtt\"]\n")
        tool.environment["LONGTAKE_CRASH_AT"] = point
        #expect(try tool.run("run", pipeline).status != 0)
        tool.environment["LONGTAKE_CRASH_AT"] = nil
        // Half a line, as a kill in the middle of a write leaves it.
        if point == "answers-recorded", let half = FileHandle(forWritingAtPath: tool.path("o.jsonl")) {
            try half.seekToEnd()
            try half.write(contentsOf: Data("{\"answer\":\"".utf8))
            try half.close()
        }
        let result = try tool.run("run", pipeline)
        #expect(result.status == 0, "\(result.errors)")
        let text = try String(contentsOfFile: tool.path("o.jsonl"), encoding: .utf8)
        let keys = text.split(separator: "\n").compactMap { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["key"] as? String
        }
        #expect(keys.count == 4 && Set(keys).count == 4, "\(text)")
        for name in ["a", "b"] {
            let document = try String(contentsOfFile: tool.path("d/\(name).vtt"), encoding: .utf8)
            #expect(document.components(separatedBy: " --> ").count >= 3, "\(document)")
        }
        let rows = try String(contentsOfFile: tool.path("o.csv"), encoding: .utf8).split(separator: "\r\n").dropFirst()
        let last = rows.compactMap { $0.split(separator: ",").last.map(String.init) }
        #expect(Set(last) == Set(keys) && last.count == 4, "\(rows)")
        let database = try Child(
            tool,
            shell:
                "python3 -c \"import sqlite3; print(*sorted(r[0] for r in sqlite3.connect('o.sqlite').execute('select key from answer')))\""
        ).end()
        #expect(database.text.split(separator: " ").map { $0.trimmingCharacters(in: .newlines) } == keys.sorted())
        let states = try tool.run("runs", "--json").list().compactMap { $0["state"] as? String }
        #expect(states == ["done", "killed"])
    }

    @Test func `a second run says who holds the pipeline, or waits`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv"])
        let pipeline = try write(
            tool, "version: 1\ninputs: [recordings]\n\(Self.two)output: o.jsonl\n")
        #expect(try tool.run("run", pipeline).status == 0)
        let folder = tool.path("data/runs")
        let lock = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
        let holder = try Child(
            tool, shell: "exec flock \"$1\" sh -c 'touch held; while [ ! -e go ]; do sleep 0.05; done'",
            [folder + "/" + lock])
        try holder.wait("the lock") { FileManager.default.fileExists(atPath: tool.path("held")) }
        let refused = try tool.run("run", pipeline, "--json")
        #expect(refused.status == 11)
        #expect(try refused.exitError()["error"] as? String == "locked", "\(refused.errors)")
        #expect(refused.errors.contains("another run of this pipeline is going on"))
        let waiting = try Child(tool, "run", pipeline, "--wait-lock", "300")
        try waiting.wait("the lock") {
            let open = "/proc/\(waiting.pid)/fd/"
            return ((try? FileManager.default.contentsOfDirectory(atPath: open)) ?? []).contains {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: open + $0))?.hasSuffix(lock) == true
            }
        }
        _ = FileManager.default.createFile(atPath: tool.path("go"), contents: nil)
        _ = holder.end()
        #expect(waiting.end().status == 0)
        #expect(try lines(tool.path("o.jsonl")).count == 4)
    }

    @Test func `two runs at once give every answer once`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv", "c.mkv"])
        let pipeline = try write(tool, "version: 1\ninputs: [recordings]\n\(Self.two)output: o.jsonl\n")
        let runs = try (0..<3).map { _ in try Child(tool, "run", pipeline, "--wait-lock", "300") }
        for run in runs {
            let result = run.end(limit: 300)
            #expect(result.status == 0, "\(result.errors)")
        }
        let keys = try lines(tool.path("o.jsonl")).compactMap { $0["key"] as? String }
        #expect(keys.count == 6 && Set(keys).count == 6)
    }

    @Test func `a file that failed is tried again after a pause, or when it changes`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv"])
        let bad = tool.path("recordings/b.mkv")
        let whole = try Data(contentsOf: URL(filePath: bad))
        try Data(repeating: 7, count: 5000).write(to: URL(filePath: bad))
        let pipeline = try write(tool, "version: 1\ninputs: [recordings]\n\(Self.two)output: o.jsonl\n")
        func run(_ options: String...) throws -> (status: Int32, summary: [String: Any]) {
            let result = try tool.run(["run", pipeline, "--json"] + options)
            return (result.status, try #require(try result.lines().last))
        }
        let first = try run()
        #expect(first.status == 3 && first.summary["files_failed"] as? Int == 1)
        let second = try run()
        #expect(second.status == 0 && second.summary["files_paused"] as? Int == 1)
        #expect(second.summary["files_failed"] as? Int == 0)
        let third = try run("--retry-failed")
        #expect(third.status == 3 && third.summary["files_failed"] as? Int == 1)
        var failed = try tool.run("runs", "failed", "--json").list()
        #expect(failed.count == 1 && failed[0]["tries"] as? Int == 2 && failed[0]["next"] is String)
        #expect((failed[0]["path"] as? String)?.hasSuffix("recordings/b.mkv") == true)
        for _ in 0..<3 { _ = try run("--retry-failed") }
        failed = try tool.run("runs", "failed", "--json").list()
        #expect(failed[0]["tries"] as? Int == 5 && failed[0]["next"] == nil, "set aside")
        #expect(try run().summary["files_paused"] as? Int == 1)
        try whole.write(to: URL(filePath: bad))
        let healed = try run()
        #expect(healed.status == 0 && healed.summary["files_new"] as? Int == 1)
        #expect(try tool.run("runs", "failed", "--json").list().isEmpty)
    }

    @Test func `windows are asked one by one, and a question may depend on an answer`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv"], seconds: 25)
        let yaml = """
            version: 1
            inputs: [recordings]
            max_tokens: 2
            questions:
              - {id: parts, ask: What?, every: 10s}
              - {id: whole, ask: Who?}
              - {id: never, ask: Why?, if: the answer to whole is "something else"}
              - {id: always, ask: When?, if: whole is not "something else"}
              - {id: after, ask: Where?, every: 10s, if: parts is not "something else"}
              - {id: neither, ask: How?, if: never is "x"}
            outputs: [o.jsonl, "docs/{folder}-{name}.vtt", "docs/{id}.srt"]
            """
        let pipeline = try write(tool, yaml)
        let result = try tool.run("run", pipeline, "--json")
        #expect(result.status == 0, "\(result.errors)")
        let given = try lines(tool.path("o.jsonl"))
        func segments(_ id: String) -> [[Double]] {
            given.filter { $0["question_id"] as? String == id }.compactMap { $0["segment"] as? [Double] }
        }
        #expect(segments("parts") == [[0, 10], [10, 20], [20, 25]])
        #expect(segments("after") == segments("parts"))
        #expect(given.count { $0["question_id"] as? String == "always" } == 1)
        #expect(!given.contains { ["never", "neither"].contains($0["question_id"] as? String) })
        // The same answers as `ask` gives.
        let asked = try tool.run(
            "ask", tool.path("recordings/a.mkv"), "What?", "--segments", "10", "--max-tokens", "2", "--json"
        ).lines()
        #expect(
            given.filter { $0["question_id"] as? String == "parts" }.map { $0["token_ids"] as? [Int] }
                == asked.compactMap { $0["token_ids"] as? [Int] })
        let vtt = try String(contentsOfFile: tool.path("docs/recordings-a.vtt"), encoding: .utf8)
        #expect(vtt.hasPrefix("WEBVTT") && vtt.contains("00:00:20.000 --> 00:00:25.000"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: tool.path("docs")).count == 2)
        let again = try #require(try tool.run("run", pipeline, "--json").lines().last)
        #expect(again["answers"] as? Int == 0 && again["answers_unchanged"] as? Int == 6)
    }

    @Test func `a limited run answers what it indexed, short recordings before long ones`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv"])
        // Its frames are all the same and so cost little, but it has three segments.
        try recordings(tool, ["long.mkv"], seconds: 1400, source: "color")
        let pipeline = try write(
            tool, "version: 1\nmax_runtime: 1s\ninputs: [recordings]\n\(Self.two)output: o.jsonl\n")
        var nights = 0
        var summary: [String: Any] = [:]
        repeat {
            nights += 1
            let result = try tool.run("run", pipeline, "--json")
            summary = try #require(try result.lines().last)
            let indexed = (summary["files_new"] as? Int ?? 0) + (summary["files_resumed"] as? Int ?? 0)
            let answers = (summary["answers"] as? Int ?? 0) + (summary["answers_unchanged"] as? Int ?? 0)
            #expect(answers >= 2 * indexed, "night \(nights): what was indexed was answered")
            #expect(result.status == (summary["stopped"] == nil ? 0 : 3))
        } while summary["stopped"] != nil && nights < 60
        #expect(summary["stopped"] == nil, "done after \(nights) nights")
        let keys = try lines(tool.path("o.jsonl")).compactMap { $0["key"] as? String }
        #expect(keys.count == 6 && Set(keys).count == 6)
    }

    @Test(arguments: [true, false])
    func `a limited run takes recordings of unknown length after those that fit`(isLimited: Bool) throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv", "c.mkv", "d.mkv"])
        // As a program writes to a pipe: nothing in the file says how long it is.
        for name in ["a.mkv", "c.mkv"] {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=96x64:rate=5:duration=3", "-metadata", "title=\(name)", "-c:v",
                "mpeg4", "-f", "matroska", "-live", "1", tool.path("recordings/" + name))
        }
        let pipeline = try write(tool, "version: 1\norder: path\ninputs: [recordings]\n\(Self.two)output: o.jsonl\n")
        let result = try tool.run(["run", pipeline, "--json"] + (isLimited ? ["--max-runtime", "5h"] : []))
        #expect(result.status == 0, "\(result.errors)")
        let taken = try result.lines().filter { $0["message_type"] as? String == "verbose_status" }.compactMap {
            ($0["item"] as? String).map { URL(filePath: $0).lastPathComponent }
        }
        #expect(taken == (isLimited ? ["b.mkv", "d.mkv", "a.mkv", "c.mkv"] : ["a.mkv", "b.mkv", "c.mkv", "d.mkv"]))
        #expect(try lines(tool.path("o.jsonl")).count == 8)
    }

    @Test func `variables come from the file and the environment, and add no keys`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv"])
        tool.environment["WHO"] = "Who: {x: 1}?\nversion: 2"
        let yaml = """
            version: 1
            vars: {root: recordings, out: "${root}-out"}
            inputs: ["${root}"]
            max_tokens: 2
            questions: ["${WHO}", "${NONE:-What?} $${WHO}"]
            output: ${out}.jsonl
            """
        let result = try tool.run("run", try write(tool, yaml))
        #expect(result.status == 0, "\(result.errors)")
        let asked = try lines(tool.path("recordings-out.jsonl")).compactMap { $0["question"] as? String }
        #expect(asked == ["Who: {x: 1}?\nversion: 2", "What? ${WHO}"])
        let missing = try tool.run("run", try write(tool, "version: 1\ninputs: [\"${NOWHERE}\"]\n"))
        #expect(
            missing.status == 64 && missing.errors.contains("p.yaml:2: `${NOWHERE}` is not set"), "\(missing.errors)")
    }

    @Test func `inputs may be narrowed by patterns and length`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["cam1/a.mkv", "cam1/b.mkv", "cam2/a.mkv", "old/c.mkv"])
        try recordings(tool, ["cam1/long.mkv"], seconds: 9)
        try Data("recordings/old/c.mkv\n".utf8).write(to: URL(filePath: tool.path("list.txt")))
        symlink(tool.path("recordings/cam2"), tool.path("recordings/cam1/link"))
        symlink(tool.path("recordings"), tool.path("recordings/cam1/loop"))
        func indexed(_ inputs: String) throws -> [String] {
            let result = try tool.run("run", try write(tool, "version: 1\norder: path\ninputs:\n\(inputs)"), "--json")
            #expect(result.status == 0, "\(result.errors)")
            return try result.lines().filter { ["new", "unchanged"].contains($0["action"] as? String) }.compactMap {
                ($0["item"] as? String)?.split(separator: "/").suffix(2).joined(separator: "/")
            }
        }
        #expect(try indexed("  - {path: recordings, include: [\"a.*\"]}") == ["cam1/a.mkv", "cam2/a.mkv"])
        #expect(try indexed("  - {path: recordings, exclude: [cam1/, old/]}") == ["cam2/a.mkv"])
        #expect(try indexed("  - {path: recordings/cam1, max_length: 5s}") == ["cam1/a.mkv", "cam1/b.mkv"])
        #expect(try indexed("  - {path: recordings/cam1, min_length: 5s}") == ["cam1/long.mkv"])
        #expect(try indexed("  - {list: list.txt}") == ["old/c.mkv"])
        let followed = try indexed("  - {path: recordings/cam1, follow_symlinks: true, include: [\"a.*\", \"c.*\"]}")
        #expect(Set(followed) == ["cam1/a.mkv", "link/a.mkv", "cam2/a.mkv", "old/c.mkv"])
    }

    @Test(arguments: [
        ("order: new", ":3: `order` must be newest, oldest, shortest, smallest or path"),
        ("outputs: [a.txt]", "names no format"), ("outputs: [a.vtt]", "one file per recording"),
        ("outputs: [\"%Q.jsonl\"]", "unknown %Q"), ("outputs: [\"{nam}.jsonl\"]", "did you mean {name}"),
        ("outputs: [a.csv, a.csv]", "two outputs"), ("output: o\nnice: 20", "0 to 19"),
        ("output: o\nquestions: [{id: a, ask: x, if: b is \"c\"}]", "no question before it"),
        ("output: o\nquestions: [{id: a, ask: x}, {id: b, ask: y, if: a maybe}]", "must name an earlier question"),
        ("output: o\nquestions: [{id: a, ask: x, every: 0}]", "above 0"),
        ("output: o\nquestions: [{id: a, ask: x, every: 1m}, {id: b, ask: y, if: a found}]", "same `every`"),
        ("vars: [a]", "`vars` must be a mapping"), ("sampling: fast", "grid, reference or keyframes"),
        ("cache_max: lots", "cache_max"), ("max_runtime: 0.5x", "max_runtime"), ("focus: often", "auto, off or"),
    ])
    func `a key that is wrong is named with its line`(yaml: String, word: String) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let result = try tool.run("run", try write(tool, "version: 1\ninputs: [a]\n\(yaml)\n"))
        #expect(result.status == 64)
        #expect(result.errors.contains("p.yaml:") && result.errors.contains(word), "\(result.errors)")
    }

    @Test func `metrics say how the run ended`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv"])
        try Data(repeating: 7, count: 5000).write(to: URL(filePath: tool.path("recordings/b.mkv")))
        let pipeline = try write(
            tool, "version: 1\nname: \"a\\\"b\"\ninputs: [recordings]\n\(Self.two)output: o.jsonl\n")
        #expect(try tool.run("run", pipeline, "--metrics-textfile", "m.prom").status == 3)
        let text = try String(contentsOfFile: tool.path("m.prom"), encoding: .utf8)
        let values = text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(values.contains("longtake_run_exit_status{pipeline=\"a\\\"b\"} 3"))
        #expect(values.contains("longtake_run_files{pipeline=\"a\\\"b\",state=\"failed\"} 1"))
        #expect(values.contains("longtake_run_answers{pipeline=\"a\\\"b\",state=\"given\"} 2"))
        #expect(try tool.run("run", pipeline, "--metrics-textfile", "no/m.prom").status == 13)
    }

    @Test func `a plan says what a run would do, and does nothing`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv", "c.mkv"])
        let pipeline = try write(tool, "version: 1\ninputs: [recordings/a.mkv]\n\(Self.two)output: o.jsonl\n")
        // A file that changed just now is not taken for the one that was indexed.
        Thread.sleep(forTimeInterval: 2.1)
        #expect(try tool.run("run", pipeline).status == 0)
        try Data(repeating: 7, count: 5000).write(to: URL(filePath: tool.path("recordings/c.mkv")))
        let more = try write(
            tool,
            "version: 1\ninputs: [recordings]\norder: path\n"
                + Self.two.replacingOccurrences(of: "id: b", with: "id: c") + "output: o.jsonl\n")
        let plan = try tool.run("run", more, "--plan", "--json")
        #expect(plan.status == 0, "\(plan.errors)")
        let files = try #require(try plan.object()["files"] as? [[String: Any]])
        #expect(files.map { $0["action"] as? String } == ["ask", "index", "skip"])
        #expect(files.map { $0["questions"] as? Int } == [1, 2, 0], "\(plan.text)")
        #expect(files[1]["frames"] as? Int == 3 && files[2]["reason"] is String)
        #expect(try tool.run("run", more, "--plan").text.contains("plan: 1 to index (3 frames"))
        #expect(try tool.run("runs", "--json").list().count == 1, "a plan is no run")
        #expect(try tool.run("ls", "--json").list().count == 1)
    }

    @Test func `a program gets the digest`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv"])
        func run(_ digest: String) throws -> Tool.Result {
            let text = "version: 1\nname: night\ninputs: [recordings]\n\(digest)\n\(Self.two)output: o.jsonl\n"
            return try tool.run("run", try write(tool, text))
        }
        #expect(try run("digest: {command: [tee, mail.txt], path: \"d/{date}.md\"}").status == 0)
        let mail = try String(contentsOfFile: tool.path("mail.txt"), encoding: .utf8)
        #expect(mail.hasPrefix("# night: 1 recording with something new\n"))
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: tool.path("d")).first)
        #expect(try String(contentsOfFile: tool.path("d/" + name), encoding: .utf8) == mail)
        #expect(try run("digest: {command: [tee, mail.txt]}").status == 0)
        #expect(
            try String(contentsOfFile: tool.path("mail.txt"), encoding: .utf8).hasPrefix("night: nothing new\n====="))
        let failed = try run("digest: {command: \"false\", format: markdown}")
        #expect(failed.status == 3 && failed.errors.contains("the digest was not sent: false: exit status 1"))
        #expect(try run("digest: {format: text}").status == 64)
        #expect(try run("digest: {path: \"{name}.md\"}").status == 64)
        #expect(try run("digest: {comand: mail}").errors.contains("did you mean `command`?"))
    }

    @Test func `the digest says what is new first`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a_*b.mkv", "b.mkv"])
        try Data(repeating: 7, count: 5000).write(to: URL(filePath: tool.path("recordings/b.mkv")))
        let pipeline = try write(
            tool,
            "version: 1\nname: night\ninputs: [recordings]\ndigest: \"d/{date}.md\"\n\(Self.two)output: o.jsonl\n")
        #expect(try tool.run("run", pipeline).status == 3)
        let name = try #require(try FileManager.default.contentsOfDirectory(atPath: tool.path("d")).first)
        let text = try String(contentsOfFile: tool.path("d/" + name), encoding: .utf8)
        let heads = text.split(separator: "\n").filter { $0.hasPrefix("#") }
        #expect(heads.first == "# night: 1 recording with something new")
        #expect(
            heads.filter { $0.hasPrefix("## ") } == [
                "## New", "## Failed in this run", "## Waiting to be tried again", "## Cost",
            ])
        #expect(heads.contains { $0.hasPrefix("### ") && $0.hasSuffix("a\\_\\*b.mkv") }, "\(text)")
        #expect(text.contains("- **a**: ") && text.contains("1 file indexed, 0 unchanged"))
        let plain = try tool.run("runs", "digest", "--style", "text").text
        #expect(plain.hasPrefix("night: 1 recording with something new\n=====") && !plain.contains("**"))
        #expect(try tool.run("run", pipeline).status == 0)
        #expect(try tool.run("runs", "digest").text.hasPrefix("# night: nothing new\n"))
        #expect(try tool.run("runs", "digest", "--style", "html").status == 64)
    }

    @Test func `runs are listed with what they did`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try recordings(tool, ["a.mkv", "b.mkv"])
        try Data(repeating: 7, count: 5000).write(to: URL(filePath: tool.path("recordings/b.mkv")))
        let pipeline = try write(tool, "version: 1\nname: night\ninputs: [recordings]\n\(Self.two)output: o.jsonl\n")
        #expect(try tool.run("run", pipeline).status == 3)
        #expect(try tool.run("run", pipeline).status == 0)
        let runs = try tool.run("runs", "--pipeline", "night", "--json").list()
        #expect(runs.map { $0["state"] as? String } == ["done", "partial"])
        let shown = try tool.run("runs", "show", try #require(runs[1]["id"] as? String), "--json").object()
        let files = try #require(shown["files"] as? [[String: Any]])
        #expect(files.map { $0["action"] as? String } == ["new", "failed"])
        #expect(files[0]["answers"] as? Int == 2 && files[0]["frames"] as? Int == 3)
        #expect(files[1]["error"] is String)
        #expect(try tool.run("runs", "show", "last").text.contains("night"))
        #expect(try tool.run("runs", "show", "nosuch").status == 64)
        #expect(try tool.run("runs", "answers", try #require(runs[1]["id"] as? String)).lines().count == 2)
        #expect(try tool.run("runs", "--limit", "0").status == 64)
    }
}
