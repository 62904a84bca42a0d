import Foundation
import Testing

/// The examples of the documentation in `console` blocks: each command is run, and prints what stands below it.
///
/// Times, speeds, free space and what else differs from run to run are left out; `…` stands for any text, on a line of its own
/// for any lines. JSON is compared by its keys and values, however it is laid out.
@Suite struct DocumentedExampleTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// A command and what it prints, with the section that it stands in.
    private struct Example {
        let section: String
        let command: String
        var output: [String]
    }

    private static func examples(_ page: String) throws -> [Example] {
        let text = try String(contentsOf: root.appending(path: "docs/\(page)"), encoding: .utf8)
        var (examples, section, isInside) = ([Example](), "", false)
        for line in text.components(separatedBy: "\n") {
            if line.hasPrefix("## ") { section = String(line.dropFirst(3)) }
            if line.hasPrefix("```") {
                isInside = line == "```console"
            } else if isInside, line.hasPrefix("$ ") {
                examples.append(Example(section: section, command: String(line.dropFirst(2)), output: []))
            } else if isInside, !examples.isEmpty {
                examples[examples.count - 1].output.append(line)
            }
        }
        return examples
    }

    /// The recording of the examples: 5 s, made as docs/commands.md says.
    ///
    /// x264's rate control rounds differently on other CPUs (reciprocal estimates); a fixed quantizer gives the same bytes on all.
    private static let day: Swift.Result<String, any Error> = Swift.Result {
        let path = Fixtures.folder.path + "/day.mp4"
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=duration=5:size=320x240:rate=25", "-preset", "ultrafast", "-qp", "28",
            "-threads", "3",
            path)
        return path
    }

    /// A folder with everything the examples name.
    private func tool(_ page: String) throws -> Tool {
        var tool = try Tool(model: false)
        let files = FileManager.default
        try files.createSymbolicLink(atPath: tool.path("nano"), withDestinationPath: Fixtures.model.get())
        try files.createSymbolicLink(atPath: tool.path("clip"), withDestinationPath: ModelEmbedCommandTests.pair)
        try files.createSymbolicLink(
            atPath: tool.path("Models"), withDestinationPath: Self.root.appending(path: "Models").path)
        try files.copyItem(atPath: Self.day.get(), toPath: tool.path("day.mp4"))
        for folder in ["recordings", "pipelines", "bin"] {
            try files.createDirectory(atPath: tool.path(folder), withIntermediateDirectories: true)
        }
        try files.copyItem(atPath: Self.day.get(), toPath: tool.path("recordings/day.mp4"))
        for name in ["empty.mp4", "recordings/empty.mp4"] { try Data().write(to: URL(filePath: tool.path(name))) }
        try Data("#EXTM3U\n#EXTINF:1\na.ts\n".utf8).write(to: URL(filePath: tool.path("list.mp4")))
        #expect(mkfifo(tool.path("fifo"), 0o600) == 0)
        try files.createSymbolicLink(atPath: tool.path("bin/longtake"), withDestinationPath: Tool.executable.path)
        tool.environment["PATH"] = tool.path("bin") + ":" + (tool.environment["PATH"] ?? "")
        // A file that changed just now is not taken for the one that was indexed.
        if page == "commands.md" { Thread.sleep(forTimeInterval: 2.1) }
        return tool
    }

    private func run(_ command: String, _ tool: Tool) throws -> [String] {
        let text = try Child(tool, shell: "\(command) 2>&1").end(limit: 300).text
        return text.components(separatedBy: "\n").filter { !$0.hasPrefix("note: random weights") && !$0.isEmpty }
    }

    /// What a section's examples find there: an index, or a damaged one.
    private func prepare(_ section: String, _ tool: Tool) throws {
        for folder in ["cache", "data"] { try? FileManager.default.removeItem(atPath: tool.path(folder)) }
        guard ["ask", "ls, show, rm", "cache"].contains(section) else { return }
        _ = try run("longtake index day.mp4 --model nano", tool)
        guard section == "cache" else { return }
        let indexes = tool.path("cache/indexes")
        let index = try #require(try FileManager.default.contentsOfDirectory(atPath: indexes).first)
        let file = try FileHandle(forUpdating: URL(filePath: "\(indexes)/\(index)/000000.pat"))
        let size = try file.seekToEnd()
        // Inside the patches of frame 3 of 5.
        try file.seek(toOffset: 4096 + (size - 4096) * 7 / 10)
        try file.write(contentsOf: Data([0xFF, 0x00, 0xFF]))
        try file.close()
    }

    @Test(arguments: ["commands.md", "pipelines.md", "bad-input.md", "models.md"])
    func `examples print what the documentation says`(page: String) throws {
        let examples = try Self.examples(page)
        try #require(!examples.isEmpty)
        var tool = try tool(page)
        defer { tool.remove() }
        let hub = page == "commands.md" ? try HubServer() : nil
        defer { hub?.stop() }
        tool.environment["HF_HOME"] = tool.path("hf")
        tool.environment["HF_ENDPOINT"] = hub?.address
        try Self.makeFiles(for: page, tool)
        // Pages whose examples do not say which model.
        if page == "bad-input.md" { tool.environment["LONGTAKE_MODEL"] = tool.path("nano") }
        var section = ""
        for example in examples {
            if example.section != section { try prepare(example.section, tool) }
            section = example.section
            let printed = try run(example.command, tool)
            let wanted = example.output.filter { !$0.isEmpty }
            if let first = wanted.first, first.hasPrefix("{") || first.hasPrefix("["), !first.contains("…") {
                try compare(json: wanted, printed, example.command)
            } else {
                let isSame = Self.fits(wanted.map(Self.steady), printed.map(Self.steady))
                #expect(isSame, "\(page): \(example.command)\n\(printed.joined(separator: "\n"))")
            }
        }
    }

    private static func makeFiles(for page: String, _ tool: Tool) throws {
        switch page {
        case "commands.md":
            try Fixtures.ffmpeg("-i", tool.path("day.mp4"), "-frames:v", "1", tool.path("car.png"))
        case "pipelines.md":
            let text = try String(contentsOf: root.appending(path: "docs/pipelines.md"), encoding: .utf8)
            let start = try #require(text.range(of: "```yaml\n")).upperBound
            let end = try #require(text[start...].range(of: "\n```")).lowerBound
            try Data(text[start..<end].utf8).write(to: URL(filePath: tool.path("pipelines/n.yaml")))
        case "bad-input.md":
            try Fixtures.ffmpeg("-f", "lavfi", "-i", "sine", "-t", "1", "-c:a", "aac", tool.path("audio.mp4"))
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc2=duration=0.4:size=320x240:rate=25", tool.path("short.mp4"))
        default: break
        }
    }

    // MARK: Comparing

    /// What differs from run to run, and from machine to machine.
    private static func steady(_ line: String) -> String {
        let changing = [
            (#"in \d+\.\d s\b"#, "in # s"), (#"\([\d.e+]+ frames/s\)"#, "(# frames/s)"),
            (#"about \d+\.\d s"#, "about # s"), (#"[\d.]+ [GT]iB"#, "# GiB"), (#"after \d+\.\d s"#, "after # s"),
            (#"[\d.e-]+ s per token"#, "# s per token"), (#"peak memory [\d.]+ MiB"#, "peak memory #"),
            (#"; \d+\.\d s$"#, "; # s"), (#"\d{4}-\d\d-\d\dT[\d:]+Z"#, "#"),
        ]
        return changing.reduce(line) {
            $0.replacingOccurrences(of: $1.0, with: $1.1, options: .regularExpression)
        }
    }

    private static func fits(_ wanted: [String], _ printed: [String]) -> Bool {
        guard let first = wanted.first else { return printed.isEmpty }
        let rest = Array(wanted.dropFirst())
        if first.trimmingCharacters(in: .whitespaces) == "…" {
            return (0...printed.count).contains { fits(rest, Array(printed.dropFirst($0))) }
        }
        guard let line = printed.first, fits(line: first, line) else { return false }
        return fits(rest, Array(printed.dropFirst()))
    }

    /// Numbers with a fraction may differ by a hundredth: instruction sets round otherwise.
    private static func fits(line wanted: String, _ printed: String) -> Bool {
        let number = #"-?\d+\.\d+(?:e-?\d+)?"#
        func numbers(_ text: String, _ pattern: String) -> [Double]? {
            guard let expression = try? NSRegularExpression(pattern: pattern),
                let match = expression.firstMatch(in: text, range: NSRange(text.startIndex..., in: text))
            else { return nil }
            return (1..<max(match.numberOfRanges, 1)).compactMap { group in
                Range(match.range(at: group), in: text).flatMap { Double(text[$0]) }
            }
        }
        var pattern = ""
        var rest = wanted[...]
        while let next = rest.range(of: number, options: .regularExpression) {
            pattern += NSRegularExpression.escapedPattern(for: String(rest[..<next.lowerBound])) + "(\(number))"
            rest = rest[next.upperBound...]
        }
        pattern += NSRegularExpression.escapedPattern(for: String(rest))
        pattern = "^" + pattern.replacingOccurrences(of: "…", with: ".*?") + "$"
        guard let one = numbers(wanted, pattern), let other = numbers(printed, pattern) else { return false }
        return zip(one, other).allSatisfy { abs($0 - $1) <= 0.01 * max(abs($0), abs($1)) }
    }

    /// Numbers of the machine and of the moment.
    private static let changing: Set = [
        "cache_bytes", "cache_max_bytes", "estimated_seconds", "free_bytes", "key", "peak_memory_bytes",
        "peak_worker_memory_bytes", "run_id",
    ]

    private func compare(json wanted: [String], _ printed: [String], _ command: String) throws {
        func values(_ lines: [String]) throws -> [Any] {
            // How much is done is printed every 2 s: on a slow machine once more.
            let lines = lines.filter { !$0.contains("\"message_type\":\"status\"") }
            let whole = Data(lines.joined(separator: "\n").utf8)
            if let one = try? JSONSerialization.jsonObject(with: whole) { return [one] }
            return try lines.map { try JSONSerialization.jsonObject(with: Data($0.utf8)) }
        }
        let (one, other) = (try values(wanted), try values(printed))
        #expect(one.count == other.count, "\(command)\n\(printed.joined(separator: "\n"))")
        for (wanted, printed) in zip(one, other) { compare(wanted, printed, command) }
    }

    private func compare(_ wanted: Any, _ printed: Any, _ place: String) {
        switch (wanted, printed) {
        case (let wanted as [String: Any], let printed as [String: Any]):
            #expect(Set(wanted.keys) == Set(printed.keys), "\(place): \(printed.keys.sorted())")
            for (key, value) in wanted where !Self.changing.contains(key) {
                if let other = printed[key] { compare(value, other, "\(place) \(key)") }
            }
        case (let wanted as [Any], let printed as [Any]):
            #expect(wanted.count == printed.count, "\(place): \(printed)")
            for (number, pair) in zip(wanted, printed).enumerated() { compare(pair.0, pair.1, "\(place) \(number)") }
        case (let wanted as String, let printed as String):
            #expect(Self.fits(line: Self.path(Self.steady(wanted)), Self.steady(printed)), "\(place): \(printed)")
        case (let wanted as NSNumber, let printed as NSNumber):
            // A fraction is a measurement.
            let isExact = wanted.doubleValue.rounded() == wanted.doubleValue
            #expect(!isExact || wanted == printed, "\(place): \(printed)")
        default: #expect("\(wanted)" == "\(printed)", "\(place)")
        }
    }

    /// `/rec` stands for the folder of the examples.
    private static func path(_ text: String) -> String { text.hasPrefix("/rec/") ? "…" + text.dropFirst(4) : text }
}
