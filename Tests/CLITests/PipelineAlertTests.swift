import Foundation
import Testing

@Suite struct PipelineAlertTests {
    private func prepare(_ tool: Tool, _ alerts: String) throws {
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        for name in ["a", "b"] where !FileManager.default.fileExists(atPath: tool.path("in/\(name).mkv")) {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=96x64:rate=5:duration=3", "-metadata", "title=\(name)", "-c:v",
                "mpeg4",
                tool.path("in/\(name).mkv"))
        }
        let yaml = """
            version: 1
            name: night
            inputs: [in]
            questions: [{id: a, ask: Who?, max_tokens: 2}, {id: b, ask: What?, max_tokens: 2}]
            output: o.jsonl
            alerts:
            \(alerts)
            """
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
    }

    private func lines(_ path: String) -> [[String: Any]] {
        ((try? Data(contentsOf: URL(filePath: path))) ?? Data()).split(separator: UInt8(ascii: "\n")).compactMap {
            (try? JSONSerialization.jsonObject(with: $0)) as? [String: Any]
        }
    }

    @Test func `a command gets each finding once, without a shell`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(
            tool,
            """
              - {id: seen, when: a is not "something else", command: [tee, -a, "$(x) ; y"]}
              - {id: never, when: b is "something else", command: [touch, never]}
              - {id: broken, when: file failed, command: [tee, -a, broken]}
            """)
        try Data(repeating: 7, count: 5000).write(to: URL(filePath: tool.path("in/bad.mkv")))
        #expect(try tool.run("run", "p.yaml").status == 3)
        #expect(try tool.run("run", "p.yaml", "--retry-failed").status == 3)
        let seen = lines(tool.path("$(x) ; y"))
        #expect(seen.count == 2)
        #expect(seen.allSatisfy { $0["alert"] as? String == "seen" && $0["pipeline"] as? String == "night" })
        let answers = lines(tool.path("o.jsonl")).filter { $0["question_id"] as? String == "a" }
        #expect(
            Set(seen.compactMap { ($0["answer"] as? [String: Any])?["key"] as? String })
                == Set(answers.compactMap { $0["key"] as? String }))
        #expect(!FileManager.default.fileExists(atPath: tool.path("never")))
        let broken = lines(tool.path("broken"))
        #expect(broken.count == 1 && (broken.first?["path"] as? String)?.hasSuffix("in/bad.mkv") == true)
        let alerts = try tool.run("runs", "alerts", "--json").list()
        #expect(alerts.count == 3 && alerts.allSatisfy { $0["state"] as? String == "sent" })
    }

    @Test func `a run that was killed leaves its findings to the next one`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        try prepare(tool, "  - {when: a is not \"something else\", command: [tee, -a, sent]}")
        tool.environment["LONGTAKE_CRASH_AT"] = "answers-recorded"
        #expect(try tool.run("run", "p.yaml").status != 0)
        tool.environment["LONGTAKE_CRASH_AT"] = nil
        #expect(try tool.run("run", "p.yaml").status == 0)
        #expect(try tool.run("run", "p.yaml").status == 0)
        let found = lines(tool.path("sent")).compactMap { $0["finding"] as? String }
        #expect(found.count == 2 && Set(found).count == 2)
    }

    @Test func `a webhook that is down or answers with an error gets its findings later`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let server = """
            import hashlib, hmac, http.server, json, os
            class Handler(http.server.BaseHTTPRequestHandler):
                def do_POST(self):
                    body = self.rfile.read(int(self.headers['Content-Length']))
                    fails = os.path.exists('fail')
                    if not fails:
                        mac = hmac.new(b'key', body, hashlib.sha256).hexdigest()
                        good = self.headers['X-Longtake-Signature'] == 'sha256=' + mac
                        with open('got', 'a') as f:
                            f.write(json.dumps({'good': good, 'body': json.loads(body)}) + '\\n')
                    self.send_response(500 if fails else 204)
                    self.end_headers()
                def log_message(self, *a): pass
            s = http.server.HTTPServer(('127.0.0.1', 0), Handler)
            open('port.part', 'w').write(str(s.server_port)); os.rename('port.part', 'port')
            s.serve_forever()
            """
        try Data(server.utf8).write(to: URL(filePath: tool.path("s.py")))
        let child = try Child(tool, program: "/usr/bin/python3", ["s.py"])
        defer {
            child.send(SIGKILL)
            _ = child.end()
        }
        try child.wait("the server") { FileManager.default.fileExists(atPath: tool.path("port")) }
        let port = try String(contentsOfFile: tool.path("port"), encoding: .utf8)
        tool.environment["KEY"] = "key"
        func hook(_ port: String) throws {
            try prepare(
                tool,
                "  - {when: a is not \"something else\", webhook: \"http://127.0.0.1:\(port)/x\", secret: \"${KEY}\", timeout: 5s}"
            )
        }
        // Nothing listens on port 1.
        try hook("1")
        #expect(try tool.run("run", "p.yaml").status == 0)
        var alerts = try tool.run("runs", "alerts", "--json").list()
        #expect(alerts.count == 2 && alerts.allSatisfy { $0["state"] as? String == "pending" && $0["error"] is String })
        _ = FileManager.default.createFile(atPath: tool.path("fail"), contents: nil)
        try hook(port)
        #expect(try tool.run("run", "p.yaml").status == 0)
        alerts = try tool.run("runs", "alerts", "--json").list()
        #expect(alerts.allSatisfy { ($0["error"] as? String)?.hasSuffix("HTTP status 500") == true })
        #expect(alerts.allSatisfy { $0["tries"] as? Int == 2 && $0["next"] is String })
        // Those that failed twice wait; a new finding is sent at once.
        try FileManager.default.removeItem(atPath: tool.path("fail"))
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=96x64:rate=5:duration=3", "-metadata", "title=c", "-c:v", "mpeg4",
            tool.path("in/c.mkv"))
        #expect(try tool.run("run", "p.yaml").status == 0)
        let got = lines(tool.path("got"))
        #expect(got.count == 1 && got.first?["good"] as? Bool == true)
        #expect((got.first?["body"] as? [String: Any])?["alert"] as? String == "alert1")
    }

    @Test func `a command that hangs or fails costs the run nothing`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(
            tool,
            """
              - {id: slow, when: a found, command: [sleep, "600"], timeout: 1s}
              - {id: none, when: a not found, command: [sleep, "600"], timeout: 1s}
              - {id: bad, when: a is not "something else", command: ["false"]}
              - {id: missing, when: a is not "something else", command: [no-such-program]}
            """)
        #expect(try tool.run("run", "p.yaml").status == 0)
        let alerts = try tool.run("runs", "alerts", "--json").list()
        #expect(alerts.count == 6 && alerts.allSatisfy { $0["state"] as? String == "pending" && $0["error"] is String })
    }

    @Test func `a slow alert neither delays the others nor the end of the run`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(
            tool,
            """
              - {id: slow, when: a is not "something else", command: [sh, -c, "cat >> slow; sleep 3"]}
              - {id: slow-too, when: b is not "something else", command: [sh, -c, "cat >> slow; sleep 3"]}
              - {id: quick, when: b is not "something else", command: [tee, -a, quick]}
            """)
        #expect(try tool.run("run", "p.yaml").status == 0)
        #expect(lines(tool.path("quick")).count == 2)
        // What was not waited for is sent by the next runs, once.
        for _ in 0..<4 { #expect(try tool.run("run", "p.yaml").status == 0) }
        #expect(lines(tool.path("slow")).count == 4 && lines(tool.path("quick")).count == 2)
    }

    @Test(arguments: [
        ("  - {when: c is \"x\", command: [a]}", "no question"), ("  - {command: [a]}", "`when` is missing"),
        ("  - {when: a found}", "either `command` or `webhook`"), ("  - {when: soon, command: [a]}", "`when` must be"),
        ("  - {when: a found, webhook: \"ftp://x\"}", "not an address"),
        ("  - {when: a found, command: [a], timeout: 2h}", "at most 1h"),
    ])
    func `an alert that is wrong is named`(alert: String, word: String) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        try prepare(tool, alert)
        let result = try tool.run("pipeline", "check", "p.yaml")
        #expect(result.status == 64 && result.errors.contains(word), "\(result.errors)")
    }
}
