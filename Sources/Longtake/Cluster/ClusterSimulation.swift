internal import Foundation
internal import Models

/// A simulated run of many units on machines that are lost and come back, with the balancing that plans use.
package struct ClusterSimulation {
    /// What is simulated; times in seconds.
    package struct Settings: Sendable {
        /// Number of units.
        package var units = 1_000_000
        /// Number of machines.
        package var nodes = 1000
        /// Number of shards.
        package var shards = 50_000
        /// How often a machine is lost, per hour.
        package var lossesPerHour = 0.01
        /// Time of a full unit.
        package var unitSeconds = 900.0
        /// Time from the engine's decision to the first unit of a shard.
        package var startSeconds = 5.0
        /// Time until the engine notices a lost machine and starts its shard again.
        package var noticeSeconds = 150.0
        /// Time until a lost machine is back.
        package var repairSeconds = 3600.0
        /// Standard deviation of the logarithm of a unit's time over its planned cost.
        package var spread = 0.2
        /// The same seed gives the same run.
        package var seed: UInt64 = 1

        /// A million units on a thousand machines.
        package init() {}
    }

    /// What came out.
    package struct Result: Sendable, Encodable {
        /// Seconds until the last unit was done.
        package let makespan: Double
        /// The least possible: the machines that were there had done nothing else.
        package let bound: Double
        /// Machines lost before the end.
        package let losses: Int
        /// Seconds of work that was done again.
        package let redone: Double
        /// How often a worker was started.
        package let starts: Int
        /// The fullest shard's planned cost over the mean.
        package let imbalance: Double

        private enum CodingKeys: String, CodingKey {
            case makespan = "makespan_seconds"
            case bound = "bound_seconds"
            case losses
            case redone = "redone_seconds"
            case starts, imbalance
        }
    }

    private struct Node {
        var shard: Int?
        /// When its shard began, after the start of the worker.
        var began = 0.0
        /// Counts shards and losses: an event of an earlier count is void.
        var turn = 0
        var isUp = true
    }

    private enum Event {
        case done(node: Int, turn: Int)
        case lost(node: Int)
        case back(node: Int)
        /// A lost machine's shard can be started again.
        case open(shard: Int)
    }

    private let settings: Settings
    private var random: SplitMix64
    private var events = PriorityQueue<Event>()
    private var eventCount = 0
    private var nodes: [Node]
    /// Times of each shard's units in their order, and how many are published.
    private var shards: [(times: [Double], done: Int)] = []
    private var next = 0
    private var again: [Int] = []
    private var idle: [Int]
    private var left = 0
    private var (losses, starts, redone) = (0, 0, 0.0)
    /// When machines went and came, for the bound.
    private var changes: [(time: Double, up: Int)] = []

    private init(_ settings: Settings) {
        self.settings = settings
        random = SplitMix64(state: settings.seed)
        nodes = Array(repeating: Node(), count: settings.nodes)
        idle = Array((0..<settings.nodes).reversed())
    }

    /// Simulates a run.
    package static func run(_ settings: Settings) -> Result {
        var simulation = ClusterSimulation(settings)
        return simulation.simulate()
    }

    /// Of two events at once, the one pushed first is first.
    private mutating func push(_ time: Double, _ event: Event) {
        events.push(event, time, order: eventCount)
        eventCount += 1
    }

    /// A value in (0, 1].
    private mutating func unit() -> Double { Double((random.next() >> 11) + 1) * 0x1p-53 }

    private mutating func normal() -> Double { (-2 * log(unit())).squareRoot() * cos(2 * .pi * unit()) }

    private mutating func simulate() -> Result {
        // Three quarters are full units of long recordings, the others ends of them and short recordings.
        let planned = (0..<settings.units).map { _ in settings.unitSeconds * (unit() < 0.75 ? 1 : unit()) }
        let bins = ClusterBalance.assign(planned, shards: settings.shards)
        let loads = bins.map { $0.reduce(0) { $0 + planned[$1] } }
        let (spread, mean) = (settings.spread, loads.reduce(0, +) / Double(loads.count))
        for bin in bins {
            let times = bin.map { planned[$0] * exp(spread * normal() - spread * spread / 2) }
            shards.append((times, 0))
        }
        left = shards.count
        let work = shards.reduce(0) { $0 + $1.times.reduce(0, +) }
        for node in nodes.indices { planLoss(of: node, after: 0) }
        var now = 0.0
        start(now)
        while left > 0, let (time, event) = events.popLeast() {
            now = time
            handle(event, now)
            start(now)
        }
        return Result(
            makespan: now, bound: bound(work), losses: losses, redone: redone, starts: starts,
            imbalance: (loads.max() ?? 0) / max(mean, .leastNonzeroMagnitude))
    }

    private mutating func handle(_ event: Event, _ now: Double) {
        switch event {
        case .done(let node, let turn):
            guard nodes[node].isUp, nodes[node].turn == turn else { return }
            nodes[node].shard = nil
            nodes[node].turn += 1
            left -= 1
            idle.append(node)
        case .lost(let node):
            losses += 1
            changes.append((now, -1))
            if let shard = nodes[node].shard {
                // What is published stays; the unit in work is lost.
                var since = now - nodes[node].began
                while since > 0, shards[shard].done < shards[shard].times.count,
                    shards[shard].times[shards[shard].done] <= since
                {
                    since -= shards[shard].times[shards[shard].done]
                    shards[shard].done += 1
                }
                redone += max(0, since)
                push(now + settings.noticeSeconds, .open(shard: shard))
            } else {
                idle.removeAll { $0 == node }
            }
            nodes[node].shard = nil
            nodes[node].turn += 1
            nodes[node].isUp = false
            push(now + settings.repairSeconds, .back(node: node))
        case .back(let node):
            changes.append((now, 1))
            nodes[node].isUp = true
            idle.append(node)
            planLoss(of: node, after: now)
        case .open(let shard): again.append(shard)
        }
    }

    private mutating func planLoss(of node: Int, after now: Double) {
        guard settings.lossesPerHour > 0 else { return }
        push(now - log(unit()) * 3600 / settings.lossesPerHour, .lost(node: node))
    }

    /// Gives shards to idle machines.
    private mutating func start(_ now: Double) {
        while !idle.isEmpty, !again.isEmpty || next < shards.count {
            let shard: Int
            if again.isEmpty {
                shard = next
                next += 1
            } else {
                shard = again.removeFirst()
            }
            let node = idle.removeLast()
            starts += 1
            nodes[node].shard = shard
            nodes[node].began = now + settings.startSeconds
            let time = shards[shard].times[shards[shard].done...].reduce(0, +)
            push(nodes[node].began + time, .done(node: node, turn: nodes[node].turn))
        }
    }

    /// When machines that were there, and always busy, had done this much work.
    private func bound(_ work: Double) -> Double {
        var (work, time, up) = (work, 0.0, settings.nodes)
        for change in changes {
            let possible = (change.time - time) * Double(up)
            guard possible < work else { break }
            work -= possible
            time = change.time
            up += change.up
        }
        return time + work / Double(max(1, up))
    }
}
