import Longtake
import Testing

extension LongtakeTests {
    /// Which frames stand for a range that is too long to be fused whole.
    @Suite struct FusionPlanTests {
        @Test(arguments: [1, 2, 12, 63, 64, 65, 127, 128, 1000, 86_400, 10_000_000], [1, 7, 64])
        func sample(count: Int, limit: Int) {
            let frames = FusionPlan.frames(count: count, limit: limit)
            #expect(frames.count == min(count, limit))
            #expect(frames == frames.sorted() && Set(frames).count == frames.count)
            #expect(frames.allSatisfy { (0..<count).contains($0) })
            #expect(frames == FusionPlan.frames(count: count, limit: limit))
            // One of each of `limit` equal stretches.
            if count > limit {
                for (index, frame) in frames.enumerated() {
                    #expect(frame * limit >= index * count - limit && frame * limit < (index + 1) * count + limit)
                }
                let middle = Double(frames.reduce(0, +)) / Double(frames.count)
                #expect(abs(middle - Double(count) / 2) <= 1)
            }
        }

        /// Every frame of a sample is in one part; what comes first is spread over all of it.
        @Test(arguments: [1, 16, 31, 32, 33, 63, 64]) func parts(count: Int) throws {
            let parts = FusionPlan.parts(count)
            #expect(parts.flatMap(\.self).sorted() == Array(0..<count))
            #expect(parts.allSatisfy { $0 == $0.sorted() && !$0.isEmpty })
            #expect(parts.count == (count < 32 ? 1 : 2))
            let first = try #require(parts.first)
            let steps = zip(first, first.dropFirst()).map { $1 - $0 }
            #expect((steps.max() ?? 0) - (steps.min() ?? 0) <= 1)
            #expect(abs(first[0] - (count - 1 - (first.last ?? 0))) <= 2)
        }

        @Test func exactKeepsAll() {
            #expect(FusionPlan.frames(count: 5000, limit: .max) == Array(0..<5000))
            #expect(FusionPlan.frames(count: 0, limit: 64).isEmpty)
        }

        /// A short range is fused whole.
        @Test func shortRangesAreExact() throws {
            let model = try nano()
            let folder = try Folder()
            let analyzer = Analyzer(model: model, library: try folder.library())
            var asked = question(maxTokens: 2)
            let automatic = try analyzer.ask(asked, about: Shared.video, options: IndexOptions())
            asked.fusion = .exact
            let exact = try analyzer.ask(asked, about: Shared.video, options: IndexOptions())
            #expect(automatic.fusion == .exact(12) && exact.fusion == .exact(12))
            #expect(automatic.tokenIDs == exact.tokenIDs)
        }
    }
}
