import Foundation
import FoundationXML
import Testing

/// `bench headline` on the small shape: every row, every key, and drawings that are XML.
@Suite struct HeadlineCommandTests {
    private static let models = ["LLaVA-v1.5, nano", "LLaVA-Mini, nano, Vicuna", "LLaVA-Mini, nano, Llama"]
    private static let lengths = [1, 10, 100, 1000, 10_000, 86_400]

    @Test func `tables have every row`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let result = try tool.run("bench", "headline", "--shape", "nano", "--runs", "1", "--quiet")
        #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
        let lines = result.text.split(separator: "\n").map(String.init)
        for row in [
            "operations per image ", "  as the reference computes it ", "first token after one image ", "  frame path ",
            "weights, 16 bits ", "memory per frame ", "  the reference's, with pixels ", "disk per frame, index ",
            "frames in 24 GiB ", "  with --kv int8 ", "frames in its positions ", "claim ", "longest video in 24 GiB ",
        ] {
            #expect(lines.contains { $0.hasPrefix(row) }, "\(row): \(result.text)")
        }
        for model in Self.models { #expect(lines.contains { $0.hasPrefix(model) && $0.contains("everything again") }) }
        for frames in Self.lengths {
            let rows = lines.filter { $0.hasPrefix("\(frames) frame") }
            #expect(rows.count == 3 && rows.allSatisfy { $0.contains("computed") }, "\(frames): \(rows)")
        }
        // One image is measured; a whole day is computed, and beyond Vicuna's positions.
        #expect(lines.filter { $0.hasPrefix("1 frame ") }.allSatisfy { $0.contains("measured") })
        #expect(lines.filter { $0.hasPrefix("86400 frames ") }.map { $0.contains("too many") } == [true, true, false])
    }

    @Test func `JSON, and plots that are XML`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let folder = tool.path("plots/new")
        let result = try tool.run("bench", "headline", "--shape", "nano", "--runs", "2", "--json", "--out", folder)
        #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
        let report = try result.object()
        #expect(
            Set(report.keys) == [
                "benchmark", "claims", "limit_bytes", "machine", "models", "peak_bytes", "shape", "text_tokens",
            ])
        let models = try #require(report["models"] as? [[String: Any]])
        #expect(models.map { $0["name"] as? String } == Self.models)
        for model in models {
            #expect(
                Set(model.keys) == [
                    "first_token_runs", "first_token_seconds", "frame_bytes", "image_operations", "lengths",
                    "longest_frames", "longest_frames_int8", "longest_frames_of_context", "max_positions", "name",
                    "parameters", "rates", "record_bytes", "reference_frame_bytes", "reference_image_operations",
                    "reference_longest_frames", "tokens_per_frame", "weight_bytes",
                ])
            #expect((model["first_token_runs"] as? [Double])?.count == 2)
            try check(model)
        }
        // 36 patches, or one token, of 4 layers with 6 or 2 heads of 32 in 16 bits; the pixels of 84 × 84.
        #expect(models.map { $0["frame_bytes"] as? Int } == [36 * 3072, 3072, 1024])
        #expect(models.map { $0["reference_frame_bytes"] as? Int } == [110_592, 3072, 1024].map { $0 + 84 * 84 * 6 })
        let claims = try #require(report["claims"] as? [[String: Any]])
        #expect(
            claims.map { $0["claim"] as? String } == [
                "operations per image", "first token after one image", "memory per frame", "longest video in 24 GiB",
            ])
        for claim in claims {
            let figures = try #require(claim["after"] as? [[String: Any]])
            #expect(figures.map { $0["model"] as? String } == Array(Self.models.dropFirst()))
            let verdicts = figures.compactMap { $0["verdict"] as? String }
            #expect(verdicts.count == 2 && verdicts.allSatisfy { ["beaten", "met", "missed"].contains($0) })
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [
                "first-question.svg", "further-question.svg", "headline.json", "memory.svg", "operations.svg",
            ])
        for name in ["first-question", "further-question", "memory", "operations"] {
            let svg = try SVG(Data(contentsOf: URL(filePath: "\(folder)/\(name).svg")))
            #expect(svg.isValid, "\(name): \(svg.fault)")
            #expect(!(svg.texts["title"] ?? "").isEmpty && (svg.texts["desc"] ?? "").contains("frames"), "\(name)")
            // A line per model, and one more each where the reference's way is drawn too; a point per length.
            let lines = name == "further-question" ? 6 : 3
            #expect(svg.counts["polyline"] == lines && svg.counts["circle"] == lines * Self.lengths.count, "\(name)")
            #expect((svg.texts["style"] ?? "").contains("prefers-color-scheme: dark"))
        }
    }

    private func check(_ model: [String: Any]) throws {
        let lengths = try #require(model["lengths"] as? [[String: Any]])
        #expect(lengths.map { $0["frames"] as? Int } == Self.lengths)
        var last = 0.0
        for length in lengths {
            #expect(
                Set(length.keys) == [
                    "again_computed", "again_operations", "again_seconds", "computed", "fits_context", "frames",
                    "memory_bytes", "operations", "positions", "reference_memory_bytes", "reference_operations",
                    "reference_seconds", "seconds",
                ])
            let operations = try #require(length["operations"] as? Double)
            #expect(operations > last && operations < length["reference_operations"] as? Double ?? 0)
            #expect(length["again_operations"] as? Double ?? .infinity < operations)
            #expect(length["seconds"] as? Double ?? 0 > 0 && length["again_seconds"] as? Double ?? 0 > 0)
            last = operations
        }
        #expect(lengths[0]["operations"] as? Double == model["image_operations"] as? Double)
        #expect(lengths[0]["computed"] as? Bool == false && lengths[5]["computed"] as? Bool == true)
        #expect(lengths[0]["again_computed"] as? Bool == false)
    }

    @Test func `a folder that cannot be written`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        try Data().write(to: URL(filePath: tool.path("file")))
        let result = try tool.run("bench", "headline", "--shape", "nano", "--runs", "1", "--out", tool.path("file/x"))
        #expect(result.status == 13 && result.errors.contains("cannot create the folder"), "\(result.errors)")
    }

    @Test func `inspect shows no parts that LLaVA-1_5 does not have`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let folder = tool.path("plain")
        #expect(try tool.run("model", "make-random", "--shape", "llava-v1.5-nano", "--out", folder).status == 0)
        let text = try tool.run("model", "inspect", folder).text
        for name in ["encoder", "projector", "language model, per question and frame", "one image, to the first token"]
        {
            #expect(text.contains(name), "\(name): \(text)")
        }
        for name in ["compressor", "pre-fusion", "prompt head", "fusion frame", " 0 MFLOP", " 0 "] {
            #expect(!text.contains(name), "\(name): \(text)")
        }
        // The model answers a question about a video, as noise.
        let video = try Fixtures.video.get()
        let answer = try tool.run(
            "ask", video, "What is it?", "--model", folder, "--max-tokens", "3", "--to", "2", "--quiet")
        #expect(answer.status == 0, "\(answer.errors)")
    }
}

/// What a drawing contains.
private final class SVG: NSObject, XMLParserDelegate {
    private(set) var counts: [String: Int] = [:]
    private(set) var texts: [String: String] = [:]
    private(set) var isValid = false
    private(set) var fault = ""
    private var open: [String] = []

    init(_ data: Data) {
        super.init()
        let parser = XMLParser(data: data)
        parser.delegate = self
        isValid = parser.parse() && counts["svg"] == 1
        fault = parser.parserError.map { "\($0)" } ?? ""
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        counts[name, default: 0] += 1
        open.append(name)
    }

    func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
        _ = open.popLast()
    }

    func parser(_ parser: XMLParser, foundCharacters text: String) {
        if let name = open.last { texts[name, default: ""] += text }
    }
}
