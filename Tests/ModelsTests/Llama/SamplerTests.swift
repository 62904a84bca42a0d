import Models
import Testing

struct SamplerTests {
    private func next(_ logits: [Float], _ options: GenerationOptions) throws -> Int32 {
        var sampler = Sampler(options)
        return try logits.withUnsafeBufferPointer { try sampler.next($0) }
    }

    @Test func `greedy takes the largest logit, at equal logits the smallest ID`() throws {
        #expect(try next([1, 3, 2], .greedy) == 1)
        #expect(try next([0, 5, 5, -1], .greedy) == 1)
    }

    @Test func `the same seed gives the same tokens`() throws {
        let logits: [Float] = (0..<50).map { Float($0 % 7) }
        func tokens(seed: UInt64) throws -> [Int32] {
            var sampler = Sampler(GenerationOptions(temperature: 1, seed: seed))
            return try (0..<20).map { _ in try logits.withUnsafeBufferPointer { try sampler.next($0) } }
        }
        #expect(try tokens(seed: 3) == tokens(seed: 3))
        #expect(try tokens(seed: 3) != tokens(seed: 4))
    }

    @Test func `a small nucleus holds only the most probable token`() throws {
        for seed in 0..<20 as Range<UInt64> {
            #expect(try next([0, 2, 1], GenerationOptions(temperature: 1, topP: 0.1, seed: seed)) == 1)
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity]) func `a logit that is not finite is refused`(bad: Float) {
        #expect(throws: ModelError.self) { try next([0, bad, 1], .greedy) }
        #expect(throws: ModelError.self) { try next([], .greedy) }
    }
}
