import Models
import Testing

/// Tokens chosen among those that are allowed.
@Suite struct ConstrainedSamplerTests {
    private static let logits: [Float] = (0..<130).map { [3, -1, 2.5, 0, 7][$0 % 5] - Float($0) / 100 }
    /// IDs 1, 62, 65 and 129.
    private static let allowed: [UInt64] = [1 << 1 | 1 << 62, 1 << 1, 1 << 1]

    private func with<Value>(_ logits: [Float], _ body: (UnsafeBufferPointer<Float>) throws -> Value) rethrows -> Value
    {
        try logits.withUnsafeBufferPointer(body)
    }

    @Test func `the best allowed token is chosen`() throws {
        try with(Self.logits) { logits in
            var sampler = Sampler(.greedy)
            #expect(try sampler.next(logits) == 4)
            #expect(try sampler.next(logits, allowed: Self.allowed) == 129)
            #expect(try sampler.next(logits, allowed: [~0, ~0, ~0]) == 4)
        }
    }

    @Test func `sampling takes allowed tokens only, and all of them`() throws {
        try with(Self.logits) { logits in
            var sampler = Sampler(GenerationOptions(temperature: 5, topP: 1, seed: 3))
            var seen: Set<Int32> = []
            for _ in 0..<400 { seen.insert(try sampler.next(logits, allowed: Self.allowed)) }
            #expect(seen == [1, 62, 65, 129])
        }
    }

    @Test func `the certainty is that among the allowed tokens`() {
        with([1, 1, 1, 9] as [Float]) { logits in
            #expect(Sampler.certainty(logits, allowed: [0b0011]) == 0.5)
            #expect(Sampler.certainty(logits, allowed: [0b1000]) == 1)
            #expect(Sampler.certainty(logits, allowed: [0]) == 0)
            #expect(Sampler.certainty(logits) == Sampler.certainty(logits, allowed: [0b1111]))
        }
    }

    @Test func `no allowed token is an error, as is a value that is not finite`() {
        with(Self.logits) { logits in
            var sampler = Sampler(.greedy)
            #expect(throws: ModelError.self) { try sampler.next(logits, allowed: [0, 0, 0]) }
        }
        with([1, .nan] as [Float]) { logits in
            var sampler = Sampler(.greedy)
            #expect(throws: ModelError.self) { try sampler.next(logits, allowed: [1]) }
        }
    }
}
