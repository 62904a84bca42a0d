import Checkpoints
import Foundation
import Longtake
import Testing

/// The program's count of operations, against one that walks through every product, and against docs/headline.md.
@Suite("Answer cost") struct AnswerCostTests {
    /// The language model of a full-size shape: key and value width, inner width, vocabulary.
    private typealias Widths = (keys: Int, inner: Int, vocabulary: Int)

    /// What the three models of the headline are, written down here again.
    private static let models: [(shape: RandomCheckpoint.Shape, widths: (Int, Int, Int), isMini: Bool)] = [
        (.llava7B, (4096, 11_008, 32_000), false), (.llavaMini7B, (4096, 11_008, 32_000), true),
        (.llavaMini8B, (1024, 14_336, 128_256), true),
    ]

    private static let (before, after) = (30, 12)
    private static var text: Int { before + after }

    private func cost(_ shape: RandomCheckpoint.Shape) -> AnswerCost {
        let parts = shape.parts
        return AnswerCost(
            language: parts.language, fusion: parts.fusion, vision: parts.vision, headTokens: Self.before,
            questionTokens: Self.after)
    }

    // The products of docs/headline.md, one after the other: [m, k] times [k, n] is 2·m·k·n.
    private func product(_ m: Int, _ k: Int, _ n: Int) -> Double { 2 * Double(m) * Double(k) * Double(n) }

    private func tower(layers: Int) -> Double {
        let layer =
            4 * product(577, 1024, 1024) + product(577, 1024, 4096) + product(577, 4096, 1024)
            + 16 * (product(577, 64, 577) + product(577, 577, 64))
        return product(576, 588, 1024) + Double(layers) * layer
    }

    private func projector(rows: Int) -> Double { product(rows, 1024, 4096) + product(rows, 4096, 4096) }

    private var compressor: Double {
        2 * product(576, 1024, 1024) + 8 * (product(1, 128, 576) + product(1, 576, 128)) + product(1, 1024, 1024)
    }

    /// One decoder layer; `whole` rows at the end go through all of it, the others give keys and values.
    private func layer(rows: Int, after known: Int, whole: Int, _ widths: Widths) -> Double {
        var sum = 2 * product(rows, 4096, widths.keys) + 2 * product(whole, 4096, 4096)
        sum += 2 * product(whole, 4096, widths.inner) + product(whole, widths.inner, 4096)
        for row in rows - whole..<rows {
            let keys = known + row + 1
            sum += 32 * (product(1, 128, keys) + product(1, keys, 128))
        }
        return sum
    }

    private func image(_ widths: Widths, isMini: Bool, asReference: Bool) -> Double {
        let positions = (isMini ? 1 : 576) + Self.text
        var sum = tower(layers: asReference ? 24 : 23) + projector(rows: isMini ? 577 : 576)
        if isMini {
            let rows = 577 + Self.text
            sum += compressor + 3 * layer(rows: rows, after: 0, whole: rows, widths)
            sum += layer(rows: rows, after: 0, whole: asReference ? rows : 1 + Self.text, widths)
        }
        sum += 31 * layer(rows: positions, after: 0, whole: positions, widths)
        sum += layer(rows: positions, after: 0, whole: asReference ? positions : 1, widths)
        return sum + product(1, 4096, widths.vocabulary)
    }

    private func isNear(_ value: Double, _ expected: Double) -> Bool { abs(value / expected - 1) < 0.02 }

    @Test("an image costs what its products cost, at full shape")
    func images() throws {
        for model in Self.models {
            let cost = cost(model.shape)
            let (ours, reference) = (
                image(model.widths, isMini: model.isMini, asReference: false),
                image(model.widths, isMini: model.isMini, asReference: true)
            )
            #expect(isNear(cost.first(frames: 1), ours), "\(model.shape): \(cost.first(frames: 1)) \(ours)")
            #expect(isNear(cost.reference(frames: 1), reference), "\(model.shape): \(cost.reference(frames: 1))")
            #expect(cost.first(frames: 1) < cost.reference(frames: 1))
        }
        // The reference's way is what the paper counted.
        #expect(isNear(cost(.llava7B).reference(frames: 1), 8.55e12))
        #expect(isNear(cost(.llavaMini7B).reference(frames: 1), 1.96e12))
    }

    @Test("the page has the same numbers")
    func page() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/headline.md"), encoding: .utf8)
        for (name, asReference) in [("as Longtake computes it", false), ("as the reference computes it", true)] {
            let line = try #require(page.split(separator: "\n").first { $0.hasPrefix("| **sum, \(name)**") })
            let numbers = line.split(separator: "|").compactMap {
                Double($0.trimmingCharacters(in: CharacterSet(charactersIn: " *")))
            }
            try #require(numbers.count == 3, "\(line)")
            for (number, model) in zip(numbers, Self.models) {
                let cost = cost(model.shape)
                let counted = asReference ? cost.reference(frames: 1) : cost.first(frames: 1)
                #expect(isNear(counted, number * 1e12), "\(model.shape): \(counted), the page says \(number) TFLOP")
            }
        }
    }

    @Test("a long recording: frames, a sample fused, one prompt; a further question has only its own tokens")
    func lengths() throws {
        for model in Self.models {
            let cost = cost(model.shape)
            let (frames, sample, tokens) = (1000, model.isMini ? 64 : 0, model.isMini ? 1 : 576)
            let positions = frames * tokens + Self.text
            #expect(cost.positions(frames: frames) == positions)
            var frame = tower(layers: 23) + projector(rows: model.isMini ? 577 : 576)
            var (text, further) = (0.0, 0.0)
            if model.isMini {
                frame += compressor + 3 * layer(rows: 577, after: 0, whole: 577, model.widths)
                frame += layer(rows: 577, after: 0, whole: 1, model.widths)
                text = 4 * layer(rows: Self.text, after: 577, whole: Self.text, model.widths)
                further = 4 * layer(rows: Self.after, after: 577 + Self.before, whole: Self.after, model.widths)
            }
            let head = product(1, 4096, model.widths.2)
            let prompt =
                31 * layer(rows: positions, after: 0, whole: positions, model.widths)
                + layer(rows: positions, after: 0, whole: 1, model.widths) + head
            let first = Double(frames) * frame + Double(sample) * text + prompt
            #expect(isNear(cost.first(frames: frames, sample: 64), first), "\(model.shape)")
            let own =
                31 * layer(rows: Self.after, after: positions - Self.after, whole: Self.after, model.widths)
                + layer(rows: Self.after, after: positions - Self.after, whole: 1, model.widths) + head
            #expect(isNear(cost.again(frames: frames, sample: 64), Double(sample) * further + own), "\(model.shape)")
            // The reference fuses the text with every frame, every time.
            #expect(cost.reference(frames: frames) > cost.first(frames: frames, sample: 64))
        }
    }

    @Test("the sizes are those of the published models")
    func sizes() {
        func language(_ shape: RandomCheckpoint.Shape) -> Int {
            RandomCheckpoint.tensors(of: shape).model.filter { $0.part == .language }.reduce(0) { $0 + $1.count }
        }
        // Vicuna 7B has 6,738,415,616 parameters.
        #expect(language(.llava7B) == 6_738_415_616 && language(.llavaMini7B) == 6_738_415_616)
        let plain = RandomCheckpoint.cost(of: .llava7B, type: .bf16)
        let mini = RandomCheckpoint.cost(of: .llavaMini7B, type: .bf16)
        // Keys and values of 32 layers, 32 heads of 128, in 16 bits.
        #expect(plain.keyValueBytesPerToken == 2 * 32 * 4096 * 2 && mini.keyValueBytesPerToken == 524_288)
        #expect(plain.frame?.prefusion == 0 && plain.frame?.compressor == 0 && plain.frame?.promptHead == 0)
        #expect(plain.frameTokenBytes == 576 * 4096 * 2 && plain.framePatchBytes == 0)
        #expect((plain.imageAnswerWork ?? 0) > 3.5 * (mini.imageAnswerWork ?? 0))
    }
}
