import Models
import Testing

/// Tokens chosen among those that are allowed.
@Suite struct ConstrainedSamplerTests {
    private static let logits: [Float] = (0..<130).map { [3, -1, 2.5, 0, 7][$0 % 5] - Float($0) / 100 }
    /// IDs 1, 62, 65 and 129.
    private static let allowed: [UInt64] = [1 << 1 | 1 << 62, 1 << 1, 1 << 1]

    /// What a sampler chooses, `count` times.
    private func choose(
        _ logits: [Float] = ConstrainedSamplerTests.logits, _ options: GenerationOptions = .greedy,
        allowed: [UInt64]? = nil, count: Int = 1
    ) throws -> [Int32] {
        var sampler = Sampler(options)
        return try logits.withUnsafeBufferPointer { logits in
            try (0..<count).map { _ in try sampler.next(logits, allowed: allowed) }
        }
    }

    private func certainty(_ logits: [Float], _ allowed: [UInt64]? = nil) -> Double {
        logits.withUnsafeBufferPointer { Sampler.certainty($0, allowed: allowed) }
    }

    @Test func `the best allowed token is chosen`() throws {
        #expect(try choose() == [4])
        #expect(try choose(allowed: Self.allowed) == [129])
        #expect(try choose(allowed: [~0, ~0, ~0]) == [4])
    }

    @Test func `sampling takes allowed tokens only, and all of them`() throws {
        let options = GenerationOptions(temperature: 5, topP: 1, seed: 3)
        #expect(try Set(choose(Self.logits, options, allowed: Self.allowed, count: 400)) == [1, 62, 65, 129])
    }

    @Test func `the certainty is that among the allowed tokens`() {
        let logits: [Float] = [1, 1, 1, 9]
        #expect(certainty(logits, [0b0011]) == 0.5 && certainty(logits, [0b1000]) == 1 && certainty(logits, [0]) == 0)
        #expect(certainty(logits) == certainty(logits, [0b1111]))
    }

    @Test func `no allowed token is an error, as is a value that is not finite`() {
        #expect(throws: ModelError.self) { try choose(allowed: [0, 0, 0]) }
        #expect(throws: ModelError.self) { try choose([1, .nan], allowed: [1]) }
    }
}
