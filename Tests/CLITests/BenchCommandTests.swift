import Foundation
import Testing

/// The benchmarks report speed, its share of the peak, and parts that cover the time.
@Suite struct BenchCommandTests {
    private static let model: Set = ["precision", "library", "kernels"]

    private func report(_ arguments: [String], _ tool: Tool) throws -> [String: Any] {
        let result = try tool.run(["bench"] + arguments + ["--runs", "1", "--json"])
        #expect(result.status == 0 && result.errors.isEmpty, "\(arguments): \(result.errors)")
        return try result.object()
    }

    /// Checks the parts; returns their names.
    private func checkParts(_ report: [String: Any]) throws -> Set<String> {
        let parts = try #require(report["parts"] as? [[String: Any]])
        let named = parts.filter { $0["name"] as? String != "other" }
        // A busy machine takes the CPU away between parts, so only that they are most of the time; `make bench` prints more.
        #expect(named.reduce(0) { $0 + ($1["share"] as? Double ?? 0) } > 0.5, "\(parts)")
        #expect(abs(parts.reduce(0) { $0 + ($1["share"] as? Double ?? 0) } - 1) < 1e-6)
        let seconds = try #require(report["seconds"] as? Double)
        #expect(seconds > 0 && abs(parts.reduce(0) { $0 + ($1["seconds"] as? Double ?? 0) } - seconds) < 1e-6 * seconds)
        return Set(named.compactMap { $0["name"] as? String })
    }

    @Test(arguments: [
        (
            ["frame-path", "--frames", "2"], "frame",
            ["vision attention", "vision MLP", "pre-fusion MLP", "frame record"]
        ),
        (["prefill", "--tokens", "40"], "token", ["language attention", "language MLP", "output head"]),
        (["ask", "--frames", "50", "--tokens", "2"], "question", ["pre-fusion attention", "language MLP"]),
    ])
    func `operations and the peak of products`(arguments: [String], unit: String, names: [String]) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let report = try report(arguments + ["--shape", "nano", "--precision", "f32"], tool)
        #expect(report["benchmark"] as? String == arguments[0] && report["unit"] as? String == unit)
        #expect(try checkParts(report).isSuperset(of: names))
        let rate = try #require(report["operations_per_second"] as? Double)
        let (seconds, peak) = (try #require(report["seconds"] as? Double), try #require(report["peak"] as? Double))
        #expect(report["operations"] as? Double == rate * seconds || rate > 0)
        #expect(abs(try #require(report["share_of_peak"] as? Double) - rate / peak) < 1e-9)
        let machine = try #require(report["machine"] as? [String: Any])
        #expect(machine["precision"] as? String == "f32" && Set(machine.keys).isSuperset(of: Self.model))
        #expect(!(machine["cpu_class"] as? String ?? "").isEmpty)
    }

    @Test func `a token reads the weights, the keys and the values`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let arguments = ["decode-token", "--shape", "nano", "--tokens", "2", "--context", "10"]
        let whole = try report(arguments, tool)
        #expect(try checkParts(whole) == ["language attention", "language MLP", "language norms", "output head"])
        // 4 layers: q and o 192 × 192, k and v 64 × 192, three of 512 × 192; the head 856 × 192; 11 positions.
        let layer = 2 * 192 * 192 + 2 * 64 * 192 + 3 * 512 * 192
        #expect(whole["bytes"] as? Double == Double(4 * (4 * layer + 856 * 192 + 2 * 4 * 64 * 11)))
        // Two answers share a pass over the weights, and no whole block of keys.
        let two = try report(arguments + ["--questions", "2", "--kv", "bf16"], tool)
        #expect(two["count"] as? Int == 4)
        #expect(two["bytes"] as? Double == Double(4 * (4 * layer + 856 * 192) / 2 + 2 * 2 * 4 * 64 * 11))
        // Half of the layers stand for all.
        let half = try report(arguments + ["--layers", "2"], tool)
        #expect(half["bytes"] as? Double == whole["bytes"] as? Double)
        #expect((half["layers"] as? [String: Int]) == ["measured": 2, "of": 4])
    }

    @Test func `four bits and eight`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let layer = 2 * 192 * 192 + 2 * 64 * 192 + 3 * 512 * 192
        for precision in ["int4", "int8+int4"] {
            let arguments = ["decode-token", "--shape", "nano", "--context", "10", "--kv", "int8"]
            let report = try report(arguments + ["--tokens", "2", "--precision", precision], tool)
            let machine = try #require(report["machine"] as? [String: Any])
            #expect((machine["precision"] as? String ?? "").hasPrefix(precision))
            let bytes = try #require(report["bytes"] as? Double)
            // Half a byte, and two bytes for 32 weights; layers whose error is too large stay as they are.
            #expect(bytes >= Double((4 * layer + 856 * 192) * 9 / 16) && bytes < Double(4 * layer * 4))
        }
    }

    @Test func `the output head is quantized, and shares the memory of the embeddings`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let layer = 2 * 192 * 192 + 2 * 64 * 192 + 3 * 512 * 192
        let arguments = ["decode-token", "--shape", "nano", "--context", "10", "--tokens", "2", "--precision", "int8"]
        let bytes = try #require(try report(arguments, tool)["bytes"] as? Double)
        // With a head of 16 bits it would be more even without scales, keys and values.
        #expect(bytes > Double(4 * layer + 856 * 192) && bytes < Double(4 * layer + 2 * 856 * 192))
    }

    @Test func `decoding, alone and in the frame path`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let alone = try report(["video-decode", video, "--side", "84"], tool)
        #expect(alone["count"] as? Int == 12 && alone["bytes_per_second"] as? Double ?? 0 > 0)
        #expect(try checkParts(alone).isSuperset(of: ["decoding", "converting", "resizing", "reading"]))
        #expect(alone["cores"] as? Double ?? 0 > 0 && alone["share_of_peak"] as? Double ?? 2 <= 1)
        let path = try report(["frame-path", video, "--model", Fixtures.model.get(), "--frames", "5"], tool)
        #expect(path["count"] as? Int == 5)
        #expect(try checkParts(path).contains("waiting for frames"))
    }

    @Test func `people see a table`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let result = try tool.run("bench", "prefill", "--shape", "nano", "--tokens", "8", "--runs", "1")
        #expect(result.status == 0, "\(result.errors)")
        for text in ["nano, f32", "per token", "GFLOP/s", "language attention", "median of 1 run"] {
            #expect(result.text.contains(text), "\(text): \(result.text)")
        }
    }

    @Test(arguments: [
        (["prefill", "--shape", "huge"], "use full or nano"),
        (["prefill", "--shape", "nano", "--tokens", "0"], "0 tokens"),
        (["prefill", "--shape", "nano", "--layers", "5"], "1 to 4"), (["prefill", "--runs", "0"], "--runs must be 1"),
        (["prefill", "--model", "x", "--shape", "nano"], "--model cannot be combined"),
        (["prefill", "--model", "x", "--precision", "int4"], "--precision int4 is for random weights"),
        (["prefill", "--precision", "int2"], "did you mean int"),
        (["decode-token", "--shape", "nano", "--questions", "9"], "9 answers together; use 1 to 8"),
        (["frame-path", "--shape", "nano", "--frames", "0"], "0 frames"),
        (["ask", "--shape", "nano", "--frames", "900000"], "131072 positions"),
    ])
    func `values out of range`(arguments: [String], text: String) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let result = try tool.run(["bench"] + arguments)
        #expect(result.status == 64 && result.errors.contains(text), "\(arguments): \(result.errors)")
    }
}
