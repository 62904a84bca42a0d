internal import Foundation
internal import Glibc
internal import Store
internal import SystemCalls

/// The folder of a run that several machines share, on storage that all of them reach.
///
/// `run.json` and `units.jsonl` never change once the plan is made. `published/KEY.tar` is a unit's result, `failed/KEY.json`
/// why a unit can never have one, `attempts/SHARD.jsonl` what workers did, `logs/` is for the engine. A result becomes
/// visible by one hard link, so there is exactly one of each unit, however many workers did it.
package final class ClusterRun {
    /// Path of the folder, absolute.
    package let path: String
    /// The plan.
    package let plan: ClusterPlan

    /// Opens the folder of a run.
    ///
    /// - Throws: `Failure` `no_cluster_run`, `cluster_version`, `storage`.
    package init(path: String, program: String) throws {
        self.path = InputPath(path).absolute.description
        let file = self.path + "/run.json"
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: file))
        } catch {
            guard access(self.path, R_OK) == 0 || errno == ENOENT else {
                throw Self.storage(self.path, SystemError.last)
            }
            throw Failure(
                code: "no_cluster_run", message: "\(file): not the folder of a cluster run; make a plan for it first",
                exitCode: Exit.noCache)
        }
        struct Version: Decodable {
            let format: Int
            let program: String
        }
        guard let version = try? JSONDecoder().decode(Version.self, from: data) else {
            throw Failure(
                code: "damaged", message: "\(file) is damaged: make the plan again in another folder",
                exitCode: Exit.damaged)
        }
        guard version.format == ClusterPlan.format, version.program == program else {
            throw Failure(
                code: "cluster_version",
                message:
                    "\(file): planned by \(version.program) (format \(version.format)), this is \(program) (format "
                    + "\(ClusterPlan.format)); use the same program on all machines, or make the plan again",
                exitCode: Exit.model)
        }
        do {
            plan = try JSONDecoder().decode(ClusterPlan.self, from: data)
        } catch {
            throw Failure(
                code: "damaged", message: "\(file) is damaged: make the plan again in another folder",
                exitCode: Exit.damaged)
        }
    }

    /// The error for shared storage that cannot be used now.
    static func storage(_ path: String, _ error: some Error) -> Failure {
        Failure(
            code: "storage", message: "\(path): the shared storage cannot be used: \(error); try again",
            exitCode: Exit.retry)
    }

    /// The units of one shard.
    ///
    /// - Throws: `Failure` `bad_shard`, `damaged`.
    package func units(ofShard number: Int) throws -> [ClusterUnit] {
        guard plan.shards.indices.contains(number) else {
            throw Failure(
                code: "bad_shard",
                message: "\(path): there is no shard \(number); the plan has shards 0 to \(plan.shards.count - 1)",
                exitCode: Exit.usage)
        }
        let shard = plan.shards[number]
        let file = path + "/units.jsonl"
        let lines: Data
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
            defer { try? handle.close() }
            try handle.seek(toOffset: UInt64(shard.offset))
            lines = try handle.read(upToCount: shard.bytes) ?? Data()
        } catch {
            throw Self.storage(file, error)
        }
        guard ContentHash.sha256(Array(lines)) == shard.checksum else {
            throw Failure(
                code: "damaged", message: "\(file) is damaged: make the plan again in another folder",
                exitCode: Exit.damaged)
        }
        let decoder = JSONDecoder()
        return try lines.split(separator: 0x0A).map { try decoder.decode(ClusterUnit.self, from: $0) }
    }

    /// Where a unit's result is.
    package func resultPath(_ key: String) -> String { "\(path)/published/\(key).tar" }
    private func failurePath(_ key: String) -> String { "\(path)/failed/\(key).json" }

    /// True if a unit's result is there; its bytes are not read.
    package func isPublished(_ key: String) -> Bool { access(resultPath(key), F_OK) == 0 }

    /// Why a unit can never be done; nil if it was done, or was not tried.
    package func failure(of key: String) -> Failure? {
        (try? Data(contentsOf: URL(fileURLWithPath: failurePath(key)))).flatMap {
            try? JSONDecoder().decode(Failure.self, from: $0)
        }
    }

    /// True if nothing is left to do for a unit.
    package func isSettled(_ key: String) -> Bool { isPublished(key) || access(failurePath(key), F_OK) == 0 }

    /// What became of a unit's result.
    package enum Published: String, Sendable {
        case published
        /// Another worker has published it.
        case lostRace = "lost_race"
    }

    /// Publishes files as a unit's result, and reads it back.
    ///
    /// - Throws: `Failure` `storage` or `StoreError` if that is not possible now.
    func publish(_ names: [String], in folder: String, as unit: ClusterUnit) throws -> Published {
        let target = resultPath(unit.key)
        let temporary = "\(path)/published/.\(unit.key).\(UUID().uuidString).tmp"
        defer { unlink(temporary) }
        try CheckedArchive.write(names, in: folder, to: temporary)
        try CheckedArchive.verify(temporary)
        return try SharedFile.publish(temporary, as: target) {
            (try? CheckedArchive.verify(target)) != nil
        } ? .published : .lostRace
    }

    /// Records that a unit can never be done.
    func fail(_ unit: ClusterUnit, _ failure: Failure) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        try SharedFile.replace(failurePath(unit.key), with: Array(try encoder.encode(failure)) + [0x0A])
    }

    /// Removes a result that is damaged, so that its unit is done again.
    func discard(_ key: String) throws {
        guard unlink(resultPath(key)) == 0 || errno == ENOENT else {
            throw Self.storage(resultPath(key), SystemError.last)
        }
    }

    /// Forgets that units failed, so that they are tried again; returns how many.
    package func forgetFailures() throws -> Int {
        let folder = path + "/failed"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".json") }
        for name in names { unlink(folder + "/" + name) }
        return names.count
    }

    static var host: String { ProcessInfo.processInfo.hostName.prefix { $0 != "." && $0 != "/" }.description }

    /// One line of what workers did.
    package struct Attempt: Sendable, Codable {
        package let time: String
        package let host: String
        package let process: Int32
        /// "start", "published", "lost_race", "failed", "stopped", "done".
        package let event: String
        package var unit: String?
        package var seconds: Double?
        package var message: String?
    }

    private func attemptsPath(_ shard: Int) -> String { "\(path)/attempts/\(shard).jsonl" }

    /// Appends what a worker did to the shard's log.
    func note(_ event: String, shard: Int, unit: ClusterUnit? = nil, seconds: Double? = nil, message: String? = nil)
        throws
    {
        let attempt = Attempt(
            time: Date().formatted(.iso8601), host: Self.host, process: getpid(), event: event, unit: unit?.key,
            seconds: seconds, message: message)
        do {
            let line = Array((try JSONText.line(attempt) + "\n").utf8)
            // One write of less than a page, with O_APPEND: lines of several workers do not mix.
            let descriptor = try SystemCall.open(attemptsPath(shard), O_WRONLY | O_CREAT | O_APPEND, mode: 0o600)
            defer { close(descriptor) }
            guard line.withUnsafeBytes({ write(descriptor, $0.baseAddress, $0.count) }) == line.count else {
                throw SystemError.last
            }
        } catch {
            throw Self.storage(attemptsPath(shard), error)
        }
    }

    /// What workers did for a shard, in the order in which they wrote it.
    package func attempts(ofShard shard: Int) -> [Attempt] {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: attemptsPath(shard))) else { return [] }
        return data.split(separator: 0x0A).compactMap { try? JSONDecoder().decode(Attempt.self, from: $0) }
    }

    /// Settings of a pipeline's run that uses the plan: times of day are selected as when the plan was made.
    package var settings: PipelineRunSettings {
        var settings = PipelineRunSettings()
        settings.now = (try? Date(plan.created, strategy: .iso8601))?.timeIntervalSince1970
        return settings
    }

    /// What is done of a shard.
    package struct ShardState: Sendable {
        /// Number of its units.
        package let units: Int
        /// Units whose result is there.
        package let published: Int
        /// Units that can never be done.
        package let failed: Int
        /// How often a worker started on it.
        package let attempts: Int
        /// What its last worker did last, and where; nil if there was none.
        package let last: String?
    }

    /// - Throws: as `units(ofShard:)`.
    package func state(ofShard number: Int) throws -> ShardState {
        let units = try units(ofShard: number)
        let published = units.count { isPublished($0.key) }
        let attempts = attempts(ofShard: number)
        return ShardState(
            units: units.count, published: published,
            failed: units.count { !isPublished($0.key) && isSettled($0.key) },
            attempts: attempts.count { $0.event == "start" },
            last: attempts.last.map { last in
                "\(last.event) on \(last.host) at \(last.time)" + (last.message.map { ": \($0)" } ?? "")
            })
    }

    /// Compares this machine's clock with that of the shared storage.
    ///
    /// - Parameter clock: this machine's, in seconds since 1970.
    /// - Throws: `Failure` `clocks_apart`, `storage`.
    package func checkClock(_ clock: () -> Double = { Date().timeIntervalSince1970 }) throws {
        let probe = "\(path)/attempts/.clock.\(Self.host).\(getpid())"
        defer { unlink(probe) }
        do {
            unlink(probe)
            let descriptor = try SystemCall.open(probe, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            defer { close(descriptor) }
            let now = clock()
            var byte: UInt8 = 10
            guard write(descriptor, &byte, 1) == 1 else { throw SystemError.last }
            let status = try SystemCall.status(descriptor)
            let there = Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) / 1e9
            let offset = now - there
            guard abs(offset) <= Self.mostClockOffset else {
                throw Failure(
                    code: "clocks_apart",
                    message: "the clock of \(Self.host) is \(Int(saturating: abs(offset))) s "
                        + "\(offset > 0 ? "ahead of" : "behind") that of \(path); at most "
                        + "\(Int(saturating: Self.mostClockOffset)) s are allowed: set the clocks (NTP)",
                    exitCode: Exit.retry)
            }
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Self.storage(path, error)
        }
    }

    /// Seconds that clocks may be apart.
    static let mostClockOffset = 60.0
}
