import Longtake
import Store
import TestSupport
import Testing

@Suite struct ClusterBalanceTests {
    @Test(arguments: [1, 600, 1799, 2699, 2700, 3601, 21_600, 86_400, 86_401, 1_000_003])
    func rangesCoverARecordingInWholeSegments(frames: Int) {
        for unit in [600, 1800, 6000] {
            let ranges = ClusterBalance.ranges(frames: frames, unit: unit, segment: 600)
            #expect(ranges[0].first == 0)
            #expect(ranges.last.map { $0.end == nil } == true)
            for (one, next) in zip(ranges, ranges.dropFirst()) {
                #expect(one.end == next.first && next.first % 600 == 0 && next.first > one.first)
            }
            // The last unit has at least one expected frame, and no unit much more than what was wanted.
            #expect(ranges[ranges.count - 1].first < frames)
            let sizes = ranges.map { ($0.end ?? frames) - $0.first }
            #expect(sizes.allSatisfy { $0 < unit + unit / 2 + 600 }, "\(sizes)")
        }
    }

    @Test func sixHoursAreTwelveUnits() {
        #expect(ClusterBalance.ranges(frames: 21_600, unit: 1800, segment: 600).count == 12)
        #expect(ClusterBalance.ranges(frames: nil, unit: 1800, segment: 600).count == 1)
    }

    @Test func everyUnitIsInOneShard() {
        var random = SeededNumbers(state: 5)
        for shards in [1, 2, 7, 100, 1000] {
            let costs = (0..<500).map { _ in Double.random(in: 1...1800, using: &random) }
            let bins = ClusterBalance.assign(costs, shards: shards)
            #expect(bins.count == min(shards, costs.count))
            #expect(bins.flatMap(\.self).sorted() == Array(costs.indices))
            let loads = bins.map { $0.reduce(0) { $0 + costs[$1] } }
            let least = max(costs.reduce(0, +) / Double(bins.count), costs.max() ?? 0)
            #expect((loads.max() ?? 0) <= least * 4 / 3, "\(shards)")
            #expect(ClusterBalance.assign(costs, shards: shards) == bins)
        }
    }

    @Test func noUnitsMakeOneEmptyShard() {
        #expect(ClusterBalance.assign([], shards: 3) == [[]])
    }
}
