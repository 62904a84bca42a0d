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
            // One of each of `limit` equal parts.
            if count > limit {
                for (index, frame) in frames.enumerated() {
                    #expect(frame * limit >= index * count - limit && frame * limit < (index + 1) * count + limit)
                }
                let middle = Double(frames.reduce(0, +)) / Double(frames.count)
                #expect(abs(middle - Double(count) / 2) <= 1)
            }
        }

        /// Every frame of a sample comes once; those up to each size are spread over all of it.
        @Test(arguments: [1, 7, 8, 15, 16, 31, 32, 33, 63, 64, 100]) func steps(count: Int) throws {
            let steps = FusionPlan.Steps(sampleOf: count)
            #expect(steps.order.sorted() == Array(0..<count))
            #expect(steps.sizes.last == count)
            #expect(steps.sizes.count == max(1, Int.bitWidth - (count / 8).leadingZeroBitCount))
            #expect(try #require(steps.sizes.first) >= min(count, 8))
            for (size, next) in zip(steps.sizes, steps.sizes.dropFirst()) {
                #expect(abs(next - 2 * size) <= 1)
                let frames = steps.order[..<size].sorted()
                let between = zip(frames, frames.dropFirst()).map { $1 - $0 }
                #expect(Set(between).count == 1, "\(size) of \(count)")
                #expect(frames[0] < between[0] && count - frames[size - 1] <= between[0])
            }
        }

        @Test func nextSizeIsTheOneThatIsEnough() {
            let steps = FusionPlan.Steps(sampleOf: 64)
            #expect(steps.sizes == [8, 16, 32, 64])
            #expect(steps.size(after: 8, error: 0.06, target: 0.05) == 16)
            #expect(steps.size(after: 8, error: 0.07, target: 0.05) == 16)
            #expect(steps.size(after: 8, error: 0.08, target: 0.05) == 32)
            #expect(steps.size(after: 16, error: 0.051, target: 0.05) == 32)
            #expect(steps.size(after: 8, error: 1, target: 0.05) == 64)
            #expect(steps.size(after: 8, error: .nan, target: 0.05) == 64)
            #expect(FusionPlan.Steps(whole: 5).sizes == [5])
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
