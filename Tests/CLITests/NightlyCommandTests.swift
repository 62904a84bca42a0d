import Foundation
import Glibc
import Testing

@Suite struct NightlyCommandTests {
    private static let analyzer = "/usr/bin/systemd-analyze"
    private static var hasAnalyzer: Bool { FileManager.default.isExecutableFile(atPath: analyzer) }

    /// A pipeline at `name` in the tool's folder; returns its path.
    private func pipeline(_ tool: Tool, _ name: String = "night.yaml", _ text: String? = nil) throws -> String {
        let url = URL(filePath: tool.path(name))
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        let text = text ?? "version: 1\ninputs: [recordings]\nquestions: [Who?]\noutput: answers.jsonl\n"
        try Data(text.utf8).write(to: url)
        return tool.path(name)
    }

    private func read(_ tool: Tool, _ name: String) throws -> String {
        try String(contentsOf: URL(filePath: tool.path(name)), encoding: .utf8)
    }

    private func names(_ tool: Tool, _ folder: String) -> [String] {
        ((try? FileManager.default.subpathsOfDirectory(atPath: tool.path(folder))) ?? []).sorted()
    }

    /// A program named systemctl that appends its arguments to the file `calls` and runs `script`.
    private func systemctl(_ tool: inout Tool, _ script: String) throws {
        try FileManager.default.createDirectory(atPath: tool.path("bin"), withIntermediateDirectories: true)
        let path = tool.path("bin/systemctl")
        try Data("#!/bin/sh\necho \"$*\" >>'\(tool.path("calls"))'\n\(script)\n".utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        tool.environment["PATH"] = tool.path("bin") + ":" + (tool.environment["PATH"] ?? "")
    }

    @Test func `install writes a service and an enabled timer, once`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let file = try pipeline(tool)
        let install = [
            "nightly", "install", "night.yaml", "--at", "2:00", "--unit-dir", "units", "--max-runtime", "5h", "--json",
        ]
        let first = try tool.run(install)
        #expect(first.status == 0, "\(first.errors)")
        let report = try first.object()
        #expect(report["changed"] as? Bool == true)
        #expect(report["active"] as? Bool == false)
        #expect(report["at"] as? String == "02:00")
        #expect(report["pipeline"] as? String == file)
        #expect(
            names(tool, "units") == [
                "longtake-night.service", "longtake-night.timer", "timers.target.wants",
                "timers.target.wants/longtake-night.timer",
            ])
        let service = try read(tool, "units/longtake-night.service")
        let command = try #require(service.split(separator: "\n").first { $0.hasPrefix("ExecStart=") })
        let model = try #require(tool.environment["LONGTAKE_MODEL"])
        #expect(
            command.hasPrefix(
                "ExecStart=\(Tool.executable.resolvingSymlinksInPath().path) run \(file) --max-runtime 5h"))
        // What the shell's environment says is written down: a service does not have it.
        #expect(command.contains("--model \(model) --cache-dir \(tool.path("cache")) --data-dir \(tool.path("data"))"))
        #expect(
            try read(tool, "units/timers.target.wants/longtake-night.timer").contains("OnCalendar=*-*-* 02:00:00\n"))
        #expect(try tool.run(install).object()["changed"] as? Bool == false)

        let status = try #require(try tool.run("nightly", "status", "--unit-dir", "units", "--json").list().first)
        #expect(status["name"] as? String == "night")
        #expect(status["state"] as? String == "enabled")
        #expect(status["pipeline"] as? String == file)
        let next = try Date(try #require(status["next"] as? String), strategy: .iso8601)
        #expect(next > Date() && next < Date() + 90_000)
        #expect(try tool.run("nightly", "status", "night", "--unit-dir", "units", "-q").text == "night\n")

        #expect(try tool.run("nightly", "remove", "night", "--unit-dir", "units").status == 0)
        #expect(names(tool, "units") == ["timers.target.wants"])
        #expect(FileManager.default.fileExists(atPath: file))
        #expect(try tool.run("nightly", "remove", "night", "--unit-dir", "units").status == 10)
        #expect(try tool.run("nightly", "status", "night", "--unit-dir", "units").status == 10)
        #expect(try tool.run("nightly", "status", "--unit-dir", "units", "--json").text == "[\n\n]\n")
    }

    @Test func `another unit of the name stays unless it is forced`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        _ = try pipeline(tool)
        func install(_ arguments: String...) throws -> Tool.Result {
            try tool.run(["nightly", "install", "night.yaml", "--unit-dir", "units"] + arguments)
        }
        #expect(try install("--at", "02:00").status == 0)
        let before = try read(tool, "units/longtake-night.timer")
        let refused = try install("--at", "03:00")
        #expect(refused.status == 64)
        #expect(
            refused.errors.contains("longtake-night.service exists")
                || refused.errors.contains("longtake-night.timer exists"))
        #expect(refused.errors.contains("--force"))
        #expect(try read(tool, "units/longtake-night.timer") == before)
        #expect(try install("--at", "03:00", "--name", "other").status == 0)
        #expect(try install("--at", "03:00", "--force").status == 0)
        #expect(try read(tool, "units/longtake-night.timer").contains("*-*-* 03:00:00"))

        // A unit that somebody else wrote, and one that is masked.
        try Data("[Timer]\nOnCalendar=daily\n".utf8).write(to: URL(filePath: tool.path("units/longtake-night.timer")))
        #expect(try install("--at", "03:00").status == 64)
        let remove = try tool.run("nightly", "remove", "night", "--unit-dir", "units")
        #expect(remove.status == 64 && remove.errors.contains("was not written by this program"), "\(remove.errors)")
        #expect(try read(tool, "units/longtake-night.timer") == "[Timer]\nOnCalendar=daily\n")
        unlink(tool.path("units/longtake-night.timer"))
        symlink("/dev/null", tool.path("units/longtake-night.timer"))
        #expect(try install("--at", "03:00").status == 64)
        #expect(try install("--at", "03:00", "--force").status == 0)
        #expect(try read(tool, "units/longtake-night.timer").contains("*-*-* 03:00:00"))
    }

    @Test(arguments: [
        (["no.yaml", "--at", "02:00"], 64, "no such pipeline file"), (["bad.yaml", "--at", "02:00"], 64, "`inputs`"),
        (["night.yaml", "--at", "25:00"], 64, "25:00"), (["night.yaml", "--at", "02:00\u{1b}[2J"], 64, "time of day"),
        (["night.yaml"], 64, "--at"),
        (["night.yaml", "--at", "02:00", "--user", "--system"], 64, "exclude each other"),
        (["night.yaml", "--at", "02:00", "--name", "a b"], 64, "invalid job name"),
        (["night.yaml", "--at", "02:00", "--max-runtime", "soon"], 64, "--max-runtime"),
        (["night.yaml", "--at", "02:00", "--user", "--run-as", "nobody"], 64, "--run-as requires --system"),
        (["night.yaml", "--at", "02:00", "--system", "--run-as", "no such"], 64, "no user"),
        (["night.yaml", "--at", "02:00", "--model", "nowhere"], 12, "no such model folder"),
        (["model.yaml", "--at", "02:00"], 12, "no such model folder"),
    ])
    func `what would fail every night is refused`(arguments: [String], status: Int32, word: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        _ = try pipeline(tool)
        _ = try pipeline(tool, "bad.yaml", "version: 1\ninput: [a]\n")
        _ = try pipeline(tool, "model.yaml", "version: 1\nmodel: nowhere\ninputs: [a]\n")
        let result = try tool.run(["nightly", "install", "--unit-dir", "units"] + arguments)
        #expect(result.status == status, "\(result.errors)")
        #expect(result.errors.contains(word), "\(result.errors)")
        #expect(!result.errors.contains("\u{1b}"))
        #expect(names(tool, "units").isEmpty)
    }

    @Test func `no model is refused, but a pipeline may name its own`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let model = try #require(tool.environment["LONGTAKE_MODEL"])
        tool.environment["LONGTAKE_MODEL"] = nil
        _ = try pipeline(tool)
        #expect(try tool.run("nightly", "install", "night.yaml", "--at", "02:00", "--unit-dir", "units").status == 12)
        _ = try pipeline(tool, "own.yaml", "version: 1\nmodel: \(model)\ninputs: [a]\n")
        #expect(try tool.run("nightly", "install", "own.yaml", "--at", "02:00", "--unit-dir", "units").status == 0)
        #expect(try !read(tool, "units/longtake-own.service").contains("--model"))
    }

    @Test func `the machine's units need root`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        _ = try pipeline(tool)
        try #require(chmod(tool.folder.path, 0o755) == 0)
        let install = "\"$0\" nightly install night.yaml --at 02:00 --system --model /"
        // Whoever runs the tests: not root, or root who becomes nobody.
        let result = try Child(
            tool, shell: geteuid() == 0 ? "exec setpriv --reuid=65534 --clear-groups \(install)" : "exec \(install)"
        ).end()
        #expect(result.status == 64 && result.errors.contains("need root"), "\(result.errors)")
    }

    @Test(.enabled(if: geteuid() == 0), arguments: [mode_t(0o700), 0o755])
    func `a user who cannot read the pipeline is refused`(mode: mode_t) throws {
        let tool = try Tool()
        defer { tool.remove() }
        _ = try pipeline(tool)
        let model = try #require(tool.environment["LONGTAKE_MODEL"])
        _ = try pipeline(tool, "own.yaml", "version: 1\nmodel: \(model)\ninputs: [a]\n")
        try #require(chmod(tool.folder.path, mode) == 0)
        for file in ["night.yaml", "own.yaml"] {
            let result = try tool.run(
                "nightly", "install", file, "--at", "02:00", "--system", "--unit-dir", "units", "--run-as", "nobody")
            #expect(result.status == (mode == 0o700 ? 64 : 0), "\(result.errors)")
            #expect(result.errors.contains("cannot read") == (mode == 0o700), "\(result.errors)")
        }
    }

    @Test func `systemd is told, and says what it knows`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        _ = try pipeline(tool)
        try systemctl(
            &tool,
            """
            case "$*" in
            *show*.timer) printf 'LoadState=loaded\\nActiveState=active\\nNextElapseUSecRealtime=Tue 2026-12-01 02:00:00 UTC\\nLastTriggerUSec=Mon 2026-11-30 02:00:00 UTC\\n' ;;
            *show*.service) printf 'LoadState=loaded\\nActiveState=inactive\\nResult=success\\nExecMainStatus=3\\nExecMainStartTimestamp=@1796004000\\nExecMainExitTimestamp=@1796007600\\n' ;;
            esac
            """)
        let result = try tool.run("nightly", "install", "night.yaml", "--at", "02:00", "--user", "--json")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.object()["active"] as? Bool == true)
        #expect(names(tool, ".config/systemd/user").contains("timers.target.wants/longtake-night.timer"))
        let calls = try read(tool, "calls")
        #expect(calls.contains("--user daemon-reload\n") && calls.contains("--user restart longtake-night.timer\n"))

        let status = try #require(try tool.run("nightly", "status", "--user", "--json").list().first)
        #expect(status["state"] as? String == "waiting")
        #expect(status["scope"] as? String == "user")
        #expect(status["next"] as? String == "2026-12-01T02:00:00Z")
        let last = try #require(status["last"] as? [String: Any])
        #expect(last["start"] as? String == "2026-11-30T02:00:00Z")
        #expect(last["end"] as? String == "2026-11-30T03:00:00Z")
        #expect(last["exit_status"] as? Int == 3)
        #expect(try tool.run("nightly", "status", "--user").text.contains("partly done"))

        #expect(try tool.run("nightly", "remove", "night", "--user").status == 0)
        #expect(try read(tool, "calls").contains("--user stop longtake-night.timer\n"))
        #expect(try read(tool, "calls").contains("--user clean --what=state longtake-night.timer\n"))
        #expect(names(tool, ".config/systemd/user") == ["timers.target.wants"])
    }

    @Test func `without a running systemd the units are written all the same`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        _ = try pipeline(tool)
        try systemctl(&tool, "echo 'Failed to connect to bus: \u{1b}[2JNo medium found' >&2; exit 1")
        let result = try tool.run("nightly", "install", "night.yaml", "--at", "02:00", "--user")
        #expect(result.status == 0)
        #expect(result.errors.contains("systemd was not told"), "\(result.errors)")
        #expect(result.errors.contains("No medium found") && !result.errors.contains("\u{1b}"))
        let status = try #require(try tool.run("nightly", "status", "--user", "--json").list().first)
        #expect(status["state"] as? String == "enabled")
        #expect(status["last"] == nil)
    }

    @Test(.enabled(if: hasAnalyzer), arguments: ["--user", "--system"])
    func `systemd accepts the units, whatever the path`(scope: String) throws {
        var tool = try Tool()
        defer { tool.remove() }
        let file = try pipeline(tool, "a b/50% $HOME \"q\" \\x.yaml")
        let install = [
            "nightly", "install", file, "--at", "02:00", "--unit-dir", "units", "--name", "odd", "--max-runtime", "5h",
            scope,
        ]
        #expect(try tool.run(install).status == 0)
        let units = ["longtake-odd.service", "longtake-odd.timer"].map { tool.path("units/\($0)") }
        // A login would have set it; a user's systemd refuses to work without.
        tool.environment["XDG_RUNTIME_DIR"] = tool.folder.path
        func verify() throws -> Tool.Result {
            try Child(tool, program: Self.analyzer, ["verify", "--man=no", scope] + units).end()
        }
        let result = try verify()
        #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
        // The check finds mistakes: a setting that does not exist.
        let text = try read(tool, "units/longtake-odd.service").replacing("Nice=10", with: "Niceness=10")
        try Data(text.utf8).write(to: URL(filePath: units[0]))
        #expect(try verify().errors.contains("Niceness"))
    }
}
