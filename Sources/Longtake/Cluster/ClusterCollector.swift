internal import Foundation
internal import Glibc
internal import Store

/// Brings what workers published into this machine's library, and makes the pipeline's outputs of it.
package final class ClusterCollector {
    private let run: ClusterRun
    private let runner: PipelineRunner
    private let cancellation: Cancellation

    /// What is there of a run.
    package struct Found: Sendable {
        /// Number of recordings whose index is complete.
        package internal(set) var recordings = 0
        /// Recordings that cannot be indexed.
        package internal(set) var failed = 0
        /// Units without a result.
        package internal(set) var missing = 0
        /// Units whose result is damaged; it was removed.
        package internal(set) var damaged = 0
        /// Numbers of the shards to run again, ascending.
        package internal(set) var shards: [Int] = []
    }

    /// A collector.
    ///
    /// - Parameter runner: of the plan's pipeline, on this machine's library.
    package init(_ run: ClusterRun, runner: PipelineRunner, cancellation: Cancellation) {
        self.run = run
        self.runner = runner
        self.cancellation = cancellation
    }

    /// Collects what is there; a second call changes nothing.
    ///
    /// - Parameters:
    ///   - allowsMissing: make the outputs although units are missing.
    ///   - imported: gets each recording whose index is complete, its number and how many there are.
    ///   - event: as of `PipelineRunner.run`.
    /// - Throws: `Failure` `incomplete` if results are missing or damaged, unless `allowsMissing`; and as
    ///   `PipelineRunner.run`.
    package func collect(
        allowsMissing: Bool, imported: (String, Int, Int) -> Void, event: (BatchEvent) -> Void
    ) throws -> (found: Found, summary: BatchSummary) {
        var found = Found()
        var recordings: [String: Units] = [:]
        var order: [String] = []
        for shard in run.plan.shards.indices {
            for unit in try run.units(ofShard: shard) {
                let name = unit.path + (unit.pathBase64 ?? "")
                if recordings[name] == nil { order.append(name) }
                recordings[name, default: Units(unit)].add(unit, shard)
            }
        }
        // Outputs have the order of one machine's run, whatever shards the recordings are in.
        order.sort { (recordings[$0]?.number ?? 0) < (recordings[$1]?.number ?? 0) }
        var left: Set<Int> = []
        var done: [InputPath] = []
        var elsewhere = ResultsElsewhere()
        for (number, name) in order.enumerated() {
            try cancellation.check()
            guard let units = recordings[name] else { continue }
            switch try importIndex(units, &found, &left) {
            case .complete:
                found.recordings += 1
                done.append(units.path)
                checkAnswers(units, &found, &left)
            case .failed(let failure):
                found.failed += 1
                done.append(units.path)
                elsewhere.failures[units.path] = failure
            case .incomplete: break
            }
            imported(units.path.description, number + 1, order.count)
        }
        found.shards = left.sorted()
        guard left.isEmpty || allowsMissing else { throw incomplete(found) }
        let asks = Dictionary(
            recordings.values.compactMap { units in units.ask.map { (units.path, $0.unit.key) } },
            uniquingKeysWith: { first, _ in first })
        elsewhere.answers = { [run] path in
            guard let key = asks[path], run.isPublished(key) else { return [] }
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            _ = try CheckedArchive.extract(run.resultPath(key), into: folder.path)
            let answers: ClusterAnswers = try ClusterFile.read(folder.path + "/" + ClusterAnswers.name)
            return answers.rows
        }
        runner.elsewhere = elsewhere
        return (found, try runner.run(InputWalker(done), event: event))
    }

    private func incomplete(_ found: Found) -> Failure {
        let shown = found.shards.prefix(20).map(String.init).joined(separator: ",")
        let damaged = found.damaged > 0 ? ", \(found.damaged) damaged (removed)" : ""
        return Failure(
            code: "incomplete",
            message: "\(run.path): \(counted(found.missing, "unit")) missing\(damaged); run the shards \(shown)"
                + "\(found.shards.count > 20 ? ",…" : "") again, then collect again", exitCode: Exit.partial)
    }

    /// The units of one recording.
    private struct Units {
        let path: InputPath
        let number: Int
        var parts: [(unit: ClusterUnit, shard: Int)] = []
        var ask: (unit: ClusterUnit, shard: Int)?

        init(_ unit: ClusterUnit) { (path, number) = (unit.input, unit.number) }

        mutating func add(_ unit: ClusterUnit, _ shard: Int) {
            if unit.kind == .ask {
                ask = (unit, shard)
            } else {
                parts.append((unit, shard))
                parts.sort { $0.unit.first < $1.unit.first }
            }
        }
    }

    private enum Outcome {
        case complete, incomplete
        case failed(Failure)
    }

    private func importIndex(_ units: Units, _ found: inout Found, _ left: inout Set<Int>) throws -> Outcome {
        for (unit, _) in units.parts {
            if !run.isPublished(unit.key), let failure = run.failure(of: unit.key) { return .failed(failure) }
        }
        let missing = units.parts.filter { !run.isPublished($0.unit.key) }
        guard missing.isEmpty else {
            found.missing += missing.count
            left.formUnion(missing.map(\.shard))
            // Questions wait for the index.
            if let ask = units.ask, !run.isPublished(ask.unit.key) {
                found.missing += 1
                left.insert(ask.shard)
            }
            return .incomplete
        }
        do {
            try runner.library.assemble(
                ClusterParts(run, keys: units.parts.map(\.unit.key), name: units.path.description))
            return .complete
        } catch let error as StoreError where error.code == .damaged {
            let damaged = try discardDamaged(units.parts, &found, &left)
            guard damaged > 0 else { throw error }
            return .incomplete
        }
    }

    private func checkAnswers(_ units: Units, _ found: inout Found, _ left: inout Set<Int>) {
        guard let ask = units.ask else { return }
        if run.isPublished(ask.unit.key) {
            _ = try? discardDamaged([ask], &found, &left)
        } else if run.failure(of: ask.unit.key) == nil {
            found.missing += 1
            left.insert(ask.shard)
        }
    }

    /// Removes damaged results; returns how many.
    private func discardDamaged(
        _ units: [(unit: ClusterUnit, shard: Int)], _ found: inout Found, _ left: inout Set<Int>
    ) throws -> Int {
        var count = 0
        for (unit, shard) in units {
            do {
                try CheckedArchive.verify(run.resultPath(unit.key))
            } catch let error as StoreError where error.code == .damaged {
                try run.discard(unit.key)
                left.insert(shard)
                count += 1
            }
        }
        found.damaged += count
        return count
    }
}
