import Foundation
import TestSupport
import Testing

import Store

/// A power cut after any call of anything that changes a cache.
///
/// It stands for cutting the power of a real disk, for which one needs a device that forgets what was not flushed: all calls are
/// written down, and for each beginning of that list the folders are made that a disk might hold then (`DiskModel`). SQLite's
/// catalog is not among them; it has a log of its own and is made again from the indexes.
@Suite struct CrashModelTests {
    private static let seeds = 4

    @Test(arguments: Scenario.all)
    func whatWasReportedSealedIsThere(scenario: Scenario) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let wanted = try scenario.wanted(directory)
        let (folder, cache) = try scenario.prepared(directory, "traced")
        let model = try DiskModel(folder)
        let plan = FaultPlan(recording: folder)
        var sealed: [(events: Int, frames: Int)] = []
        try plan.during { try scenario.run(cache) { sealed.append((plan.trace.count, $0)) } }
        let trace = plan.trace
        #expect(trace.count > 5)
        var built = 0
        let target = directory.path + "/cut"
        for count in 0...trace.count {
            if count > 0 { try model.apply(trace[count - 1]) }
            let frames = sealed.filter { $0.events <= count }.map(\.frames).max() ?? 0
            let variants: [(String, DiskModel.Survival)] =
                [("everything", .everything), ("what was flushed", .nothing)]
                + (0..<Self.seeds).map { seed in
                    ("seed \(seed)", .random(SeededNumbers(state: UInt64(count * Self.seeds + seed))))
                }
            for (name, survival) in variants {
                try model.build(at: target, survival)
                built += 1
                let last = count > 0 ? Self.name(trace[count - 1]) : "nothing"
                try scenario.check(
                    target + "/cache", sealed: frames, wanted: wanted,
                    "\(scenario.name): \(name) after \(count) calls, \(last) the last")
                try FileManager.default.removeItem(atPath: target)
            }
        }
        // The model agrees with the disk about the end.
        try model.build(at: target, .everything)
        #expect(try tree(target) == tree(folder))
        print("\(scenario.name): \(trace.count) calls, \(built) folders")
    }

    private static func name(_ event: FaultPlan.Event) -> String {
        if case .write(let path, let bytes) = event { return "write of \(bytes.count) bytes to \(path)" }
        return "\(event)"
    }

    /// The files below a folder by path; nil for folders.
    private func tree(_ folder: String) throws -> [String: [UInt8]?] {
        let paths = FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []
        return try Dictionary(
            uniqueKeysWithValues: paths.map { path in
                var isFolder: ObjCBool = false
                _ = FileManager.default.fileExists(atPath: folder + "/" + path, isDirectory: &isFolder)
                return (path, isFolder.boolValue ? nil : try contents(folder + "/" + path))
            })
    }
}
