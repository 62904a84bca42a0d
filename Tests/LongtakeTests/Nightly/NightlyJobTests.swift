import Foundation
import Longtake
import Testing

@Suite struct NightlyJobTests {
    /// A unit file's settings by section, and within it by name.
    private static func settings(_ text: String) throws -> [String: [String: String]] {
        var (settings, section) = ([String: [String: String]](), "")
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            if line.hasPrefix("[") {
                section = String(line.dropFirst().dropLast())
                #expect(settings.updateValue([:], forKey: section) == nil, "[\(section)] twice")
            } else {
                let sign = try #require(line.firstIndex(of: "="), "\(line)")
                let name = String(line[..<sign])
                #expect(
                    settings[section]?.updateValue(String(line[line.index(after: sign)...]), forKey: name) == nil,
                    "\(name) twice")
            }
        }
        return settings
    }

    /// The words of a command line, by systemd.service(5) and systemd.syntax(7): quotes, backslashes, `%%` and `$$`.
    private static func words(_ line: String) throws -> [String] {
        var (words, word, isQuoted, isOpen) = ([String](), "", false, false)
        var rest = line[...]
        while let character = rest.popFirst() {
            switch character {
            case "\"":
                isQuoted.toggle()
                isOpen = true
            case "\\":
                let next = rest.popFirst()
                word.append(try #require(next))
            case "%":
                let next = rest.popFirst()
                #expect(next == "%", "a specifier in \(line)")
                word.append("%")
            case " " where !isQuoted:
                if isOpen || !word.isEmpty { words.append(word) }
                (word, isOpen) = ("", false)
            default: word.append(character)
            }
        }
        #expect(!isQuoted)
        words.append(word)
        return try [#require(words.first)]
            + words.dropFirst().map { word in
                #expect(word.replacing("$$", with: "").contains("$") == false, "a variable in \(line)")
                return word.replacing("$$", with: "$")
            }
    }

    private func job(
        _ pipeline: String = "/srv/night.yaml", name: String? = nil, scope: NightlyJob.Scope = .system,
        at time: String = "02:00", program: String = "/usr/bin/longtake", arguments: [String]? = nil,
        account: String? = "longtake"
    ) throws -> NightlyJob {
        try NightlyJob(
            name: name, scope: scope, time: #require(TimeOfDay(time)), pipeline: pipeline,
            command: (program, arguments ?? ["run", pipeline]), account: account)
    }

    @Test(arguments: [
        "/srv/night.yaml", "/srv/two words.yaml", "/srv/50% off.yaml", "/srv/$HOME/${x}.yaml", "/srv/a\"b'c.yaml",
        "/srv/back\\slash\\.yaml", "/srv/%i%%/n.yaml", "/srv/Überwachung/日.yaml", "/srv/; rm -rf x.yaml",
        "/srv/~#&|.yaml",
    ])
    func `any path arrives as one argument`(path: String) throws {
        let job = try job(path, name: "n", program: path, arguments: ["run", path, "--model", "", path])
        let line = try #require(try Self.settings(job.serviceText)["Service"]?["ExecStart"])
        let words = try Self.words(line)
        #expect(words.dropFirst() == ["run", path, "--model", "", path])
        // No variables are replaced in the program's path, so its dollar signs are not doubled.
        #expect(words.first == path)
    }

    @Test(arguments: ["/srv/a\nb.yaml", "/srv/\u{1b}[2J.yaml", "/srv/a\u{85}b.yaml", "/srv/\u{FFFD}.yaml"])
    func `a path that a unit file cannot hold is refused`(path: String) {
        #expect(throws: LongtakeError.self) { try job(path, name: "n") }
    }

    @Test func `a job is named after its file`() throws {
        #expect(try job("/srv/my night.v2.yaml").name == "my-night.v2")
        #expect(try job("/srv/日記.yml").timer == "longtake---.timer")
        #expect(try job(name: "cameras_1").service == "longtake-cameras_1.service")
        for name in ["", "a b", "a/b", "..%", "é", "a@b", String(repeating: "x", count: 201)] {
            #expect(throws: LongtakeError.self, "\(name)") { try job(name: name) }
        }
    }

    @Test func `a timer starts every day, and makes up for a night that was missed`() throws {
        let timer = try Self.settings(job(at: "2:05").timerText)
        #expect(timer["Timer"] == ["OnCalendar": "*-*-* 02:05:00", "Persistent": "true"])
        #expect(timer["Install"] == ["WantedBy": "timers.target"])
        #expect(try Self.settings(job(at: "22:00:07").timerText)["Timer"]?["OnCalendar"] == "*-*-* 22:00:07")
    }

    @Test func `a service of the machine has the sandbox of the package's template`() throws {
        let own = try #require(try Self.settings(job().serviceText)["Service"])
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../../packaging/debian/longtake@.service")
        let template = try #require(try Self.settings(String(contentsOf: file, encoding: .utf8))["Service"])
        var different = Set(own.keys).symmetricDifference(template.keys)
        for (name, value) in own where template[name] != value { different.insert(name) }
        // The template reads settings from a file; it writes only below its own folders, and reads homes.
        #expect(different == ["ExecStart", "EnvironmentFile", "ProtectSystem", "ProtectHome"])
        // Both must let the decode worker set up its own sandbox.
        for call in ["seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"] {
            #expect(own["SystemCallFilter"]?.split(separator: " ").contains(Substring(call)) == true)
        }
        // oneDNN generates code.
        #expect(own["MemoryDenyWriteExecute"] == nil)
    }

    @Test func `what differs by user and scope`() throws {
        func service(_ job: NightlyJob) throws -> [String: String] {
            try #require(try Self.settings(job.serviceText)["Service"])
        }
        let package = try service(job())
        #expect(package["User"] == "longtake" && package["CacheDirectory"] == "longtake")
        #expect(package["CapabilityBoundingSet"] == "")
        let root = try service(job(account: "root"))
        #expect(root["User"] == "root" && root["StateDirectory"] == nil)
        #expect(root["CapabilityBoundingSet"] == "CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH")
        let own = try service(job(scope: .user))
        #expect(own["User"] == nil && own["NoNewPrivileges"] == "yes" && own["SystemCallFilter"] != nil)
        // A user's systemd cannot set up mounts or capabilities.
        for name in ["ProtectSystem", "PrivateTmp", "PrivateDevices", "CapabilityBoundingSet", "StateDirectory"] {
            #expect(own[name] == nil, "\(name)")
        }
        // The common folder for temporary files stays visible to a job that uses it.
        #expect(package["PrivateTmp"] == "yes")
        #expect(try service(job("/tmp/night.yaml"))["PrivateTmp"] == nil)
    }
}
