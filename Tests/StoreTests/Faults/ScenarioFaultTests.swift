import Foundation
import Glibc
import Testing

import Store

/// Every system call of everything that changes a cache fails, once and for ever.
///
/// Each call meets every errno over the runs of a scenario, but not each of them at each call: two of them, which move on from
/// call to call. `FaultTests` has the full product for one run.
@Suite struct ScenarioFaultTests {
    private static let errors = [EIO, ENOSPC, EROFS, EMFILE, EDQUOT, EFBIG, EINTR]

    @Test(arguments: Scenario.all)
    func everyCallFails(scenario: Scenario) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let wanted = try scenario.wanted(directory)
        let counted = try scenario.prepared(directory, "counted")
        let plain = FaultPlan(below: counted.folder)
        try plain.during { try scenario.run(counted.cache) { _ in } }
        var (runs, failed, turn) = (0, 0, 0)
        for operation in FaultPlan.Operation.allCases {
            for number in 0..<plain.count(operation) {
                var effects: [FaultPlan.Effect] = (0..<2).map {
                    .error(Self.errors[(turn + $0 * 4) % Self.errors.count])
                }
                if operation == .write { effects.append(.short) }
                turn += 1
                for effect in effects {
                    for sticky in [false, true] where effect != .error(EINTR) || !sticky {
                        let what = "\(scenario.name): \(operation) \(number) \(effect) sticky \(sticky)"
                        let (folder, cache) = try scenario.prepared(directory, "run")
                        let plan = FaultPlan(
                            below: folder, operation: operation, number: number, effect: effect, sticky: sticky)
                        var sealed = 0
                        var error: StoreError?
                        do {
                            try plan.during { try scenario.run(cache) { sealed = $0 } }
                        } catch let thrown as StoreError { error = thrown }
                        runs += 1
                        if let error {
                            failed += 1
                            let isFull = [ENOSPC, EDQUOT, EFBIG].contains { effect == .error($0) }
                            try #require(error.code == (isFull ? .noSpace : .io), "\(what): \(error)")
                        }
                        if isAbsorbed(operation, effect, sticky) {
                            try #require(error == nil, "\(what): \(error as Any)")
                        }
                        if operation != .unlink { try #require(temporaryFiles(cache).isEmpty, "\(what)") }
                        try scenario.check(cache, sealed: sealed, wanted: wanted, what)
                        try FileManager.default.removeItem(atPath: folder)
                    }
                }
            }
        }
        #expect(runs > 20 && failed > runs / 4)
        print("\(scenario.name): \(runs) runs with a fault, \(failed) of them failed")
    }

    private func isAbsorbed(_ operation: FaultPlan.Operation, _ effect: FaultPlan.Effect, _ sticky: Bool) -> Bool {
        switch effect {
        case .short: true
        case .error(EINTR): !sticky && (operation == .open || operation == .write)
        case .error(EMFILE): !sticky && operation == .open
        default: false
        }
    }

    private func temporaryFiles(_ folder: String) -> [String] {
        (FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []).filter { $0.hasSuffix(".tmp") }
    }

    /// The limit is remembered whole or not at all.
    @Test func theLimitFailsWhole() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let plain = FaultPlan(below: directory.path + "/counted/")
        let counted = try directory.cache("counted")
        _ = try plain.during { try counted.limit() }
        for operation in [FaultPlan.Operation.open, .write, .sync, .rename] {
            try #require(plain.count(operation) > 0)
            for number in 0..<plain.count(operation) {
                for error in Self.errors where error != EINTR {
                    for sticky in [false, true] {
                        let cache = try directory.cache("run")
                        let plan = FaultPlan(
                            below: cache.path, operation: operation, number: number, effect: .error(error),
                            sticky: sticky)
                        let said = try? plan.during { try cache.limit() }
                        let file = cache.path + "/limits.json"
                        #expect(temporaryFiles(cache.path).isEmpty)
                        let kept = Posix.exists(file)
                        if said != nil { #expect(kept) }
                        let now = try cache.limit()
                        if let said { #expect(now == said) }
                        #expect(try CacheDirectory(path: cache.path).limit() == now)
                        try FileManager.default.removeItem(atPath: cache.path)
                    }
                }
            }
        }
    }

    /// The patches of a longer recording make room at any failure, or stay whole.
    @Test func shrinkingFailsWhole() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let made = try directory.cache("made")
        for name in ["a", "b"] { try Sample.write(150, to: made, key: Sample.key(name), segment: 50) }
        func copy() throws -> CacheDirectory {
            try FileManager.default.copyItem(atPath: made.path, toPath: directory.path + "/run")
            return try directory.cache("run")
        }
        let counted = try copy()
        let half = try counted.usedBytes() / 2
        let plain = FaultPlan(below: counted.path)
        _ = try plain.during { try counted.shrink(to: half) }
        try FileManager.default.removeItem(atPath: counted.path)
        var runs = 0
        for operation in FaultPlan.Operation.allCases {
            // The records' writes are all alike.
            for number in stride(from: 0, to: plain.count(operation), by: operation == .write ? 17 : 1) {
                for (effect, sticky) in [(EIO, false), (ENOSPC, true), (EDQUOT, false), (EROFS, true)] {
                    let what = "\(operation) \(number) \(effect) sticky \(sticky)"
                    let cache = try copy()
                    let plan = FaultPlan(
                        below: cache.path, operation: operation, number: number, effect: .error(effect), sticky: sticky)
                    _ = try? plan.during { try cache.shrink(to: half) }
                    runs += 1
                    let again = try CacheDirectory(path: cache.path)
                    try #require(try again.check(readData: true).damage.isEmpty, "\(what)")
                    for name in ["a", "b"] {
                        do {
                            let reader = try IndexReader(cache: again, key: Sample.key(name))
                            try Sample.verify(reader, frames: 150)
                            try #require([75, 150].contains(reader.patchFrames.count))
                        } catch let error as StoreError where error.code == .notFound {}
                    }
                    _ = try again.removeLeftovers(unfinished: true)
                    _ = try again.shrink(to: half)
                    try #require(try again.usedBytes() <= half, "\(what)")
                    try FileManager.default.removeItem(atPath: cache.path)
                }
            }
        }
        #expect(runs > 100)
    }
}
