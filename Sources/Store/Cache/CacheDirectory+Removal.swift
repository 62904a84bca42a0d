import Glibc

/// Something that was removed from the cache, or would be in a dry run.
public struct CacheRemoval: Sendable, Equatable {
    /// What was removed.
    public enum Kind: String, Sendable {
        /// Leftovers of dead processes: temporary files and the trash.
        case leftover
        /// A file in `derived/`.
        case derived
        /// The patches of an index; its sample is kept.
        case patches
        /// A whole index.
        case index
        /// An index of an older format version, which this program cannot read.
        case olderIndex = "older_index"
        /// Segments of a run that did not finish.
        case unfinished
    }

    /// What was removed.
    public let kind: Kind
    /// The path of the file or folder.
    public let path: String
    /// The index it belonged to; nil if it belonged to no index.
    public let indexID: String?
    /// The recording's file name, if known.
    public let name: String?
    /// Size in bytes.
    public let bytes: Int64
}

/// An index that could not be removed.
public struct PinnedIndex: Sendable, Equatable {
    /// The ID of the index.
    public let indexID: String
    /// The recording's file name, if known.
    public let name: String?
    /// Size in bytes.
    public let bytes: Int64
    /// Why it was kept: "being written", "open" or "kept until the new index is complete".
    public let reason: String
}

/// The result of removing data from the cache.
public struct RemovalReport: Sendable {
    /// What was removed.
    public var removed: [CacheRemoval] = []
    /// The indexes that could not be removed.
    public var pinned: [PinnedIndex] = []
    /// Size of the cache before, in bytes.
    public var bytesBefore: Int64 = 0
    /// Size of the cache afterwards, in bytes.
    public var bytesAfter: Int64 = 0
}

extension CacheDirectory {
    /// Removes data until the cache has at most `limit` bytes; indexes that are open or being written are kept.
    ///
    /// Order: derived files, least recently read first; then patches of whole indexes; then whole indexes, the least
    /// recently asked first in both cases. Throws `StoreError`: `.locked` when another process is making room for more
    /// than a minute, `.io`.
    ///
    /// - Parameter keep: IDs of indexes to leave alone.
    /// - Parameter dryRun: report what would be removed, without removing it.
    public func shrink(to limit: Int64, keep: Set<String> = [], dryRun: Bool = false) throws -> RemovalReport {
        try exclusively {
            var report = RemovalReport()
            report.bytesBefore = try usedBytes()
            report.bytesAfter = report.bytesBefore
            guard report.bytesAfter > limit else { return report }
            let trash = try CacheDirectory.size(of: trashPath)
            if trash > 0 {
                if !dryRun { try emptyTrash() }
                report.add(CacheRemoval(kind: .leftover, path: trashPath, indexID: nil, name: nil, bytes: trash))
            }
            try removeImports(dryRun, &report)
            try removeTemporaryFiles(in: derivedPath, indexID: nil, dryRun, &report)
            for file in try derivedFiles() where report.bytesAfter > limit {
                if !dryRun { try Posix.remove(file.path) }
                report.add(file)
            }
            guard report.bytesAfter > limit else { return report }
            let indexes = try contents().filter { !keep.contains($0.name) }.sorted { $0.asked < $1.asked }
            var freedPatches: [String: Int64] = [:]
            for index in indexes where report.bytesAfter > limit {
                guard let bytes = removablePatches(index) else { continue }
                // An index whose patches cannot be removed now may be removed whole or reported as pinned below.
                let freed = try dryRun ? (reasonToKeep(index) == nil ? bytes : nil) : evictPatches(index)
                guard let freed else { continue }
                freedPatches[index.name] = freed
                report.add(removal(.patches, index, bytes: freed))
            }
            for index in indexes where report.bytesAfter > limit {
                switch index.state {
                case .newer, .unreadable: continue
                default: break
                }
                if index.state == .setAside {
                    let reason = "kept until the new index is complete"
                    report.pinned.append(
                        PinnedIndex(
                            indexID: index.name, name: index.manifest?.name, bytes: index.bytes, reason: reason))
                    continue
                }
                let bytes = index.bytes - (freedPatches[index.name] ?? 0)
                if let reason = try dryRun ? reasonToKeep(index) : evict(index) {
                    report.pinned.append(
                        PinnedIndex(indexID: index.name, name: index.manifest?.name, bytes: bytes, reason: reason))
                } else {
                    report.add(removal(kind(of: index), index, bytes: bytes))
                }
            }
            return report
        }
    }

    /// Removes data that no run will use again: the trash, temporary files and indexes of older format versions.
    ///
    /// With `unfinished` also the segments of runs that did not finish.
    public func removeLeftovers(unfinished: Bool, dryRun: Bool = false) throws -> RemovalReport {
        try exclusively {
            var report = RemovalReport()
            report.bytesBefore = try usedBytes()
            report.bytesAfter = report.bytesBefore
            let trash = try CacheDirectory.size(of: trashPath)
            if !(try Posix.names(in: trashPath)).isEmpty {
                if !dryRun { try emptyTrash() }
                report.add(CacheRemoval(kind: .leftover, path: trashPath, indexID: nil, name: nil, bytes: trash))
            }
            try removeImports(dryRun, &report)
            for folder in [path, derivedPath] {
                try removeTemporaryFiles(in: folder, indexID: nil, dryRun, &report)
            }
            for index in try contents() {
                let directory = indexesPath + "/" + index.name
                switch index.state {
                case .newer, .damaged, .unreadable, .setAside: continue
                case .complete, .partial, .older, .unfinished: break
                }
                var isOlder = false
                if case .older = index.state { isOlder = true }
                if isOlder || unfinished && index.state == .unfinished {
                    if let reason = try dryRun ? reasonToKeep(index) : evict(index) {
                        report.pinned.append(
                            PinnedIndex(indexID: index.name, name: nil, bytes: index.bytes, reason: reason))
                    } else {
                        report.add(removal(kind(of: index), index, bytes: index.bytes))
                    }
                    continue
                }
                guard let lock = try? IndexLock(directory: directory) else { continue }
                defer { lock.release() }
                try removeTemporaryFiles(in: directory, indexID: index.name, dryRun, &report)
            }
            return report
        }
    }

    /// Removes the folders of imports whose processes are dead.
    private func removeImports(_ dryRun: Bool, _ report: inout RemovalReport) throws {
        for folder in try deadImports() {
            let bytes = try CacheDirectory.size(of: folder)
            if !dryRun, try !removeImport(folder) { continue }
            report.add(CacheRemoval(kind: .leftover, path: folder, indexID: nil, name: nil, bytes: bytes))
        }
    }

    private func removeTemporaryFiles(
        in directory: String, indexID: String?, _ dryRun: Bool, _ report: inout RemovalReport
    ) throws {
        guard Posix.linkStatus(directory) != nil else { return }
        for name in try Posix.names(in: directory) where name.hasSuffix(".tmp") {
            let file = directory + "/" + name
            // Files outside an index have no lock.
            if indexID == nil, Self.isBeingWritten(name) { continue }
            let bytes = Posix.linkStatus(file).map { Int64($0.st_size) } ?? 0
            if !dryRun { try Posix.remove(file) }
            report.add(CacheRemoval(kind: .leftover, path: file, indexID: indexID, name: nil, bytes: bytes))
        }
    }

    /// Returns true if the process that writes a temporary file is alive; its process ID is in the file name.
    private static func isBeingWritten(_ name: String) -> Bool {
        guard name.hasSuffix(".tmp"), let owner = name.split(separator: ".").dropLast().last.flatMap({ pid_t($0) }),
            owner > 0
        else { return false }
        return kill(owner, 0) == 0 || errno == EPERM
    }

    /// Removes temporary files of dead processes from `derived/`.
    func removeDeadDerived() throws {
        var report = RemovalReport()
        try removeTemporaryFiles(in: derivedPath, indexID: nil, false, &report)
    }

    static let budgetName = ".budget"

    /// Runs `body` while no other process is making room.
    private func exclusively<Value>(_ body: () throws -> Value) throws -> Value {
        let file = path + "/" + Self.budgetName
        let descriptor = try Posix.openOrRecreate(file, O_RDWR | O_CREAT)
        defer { Posix.unlock(descriptor) }
        guard try Posix.lock(descriptor, LOCK_EX, for: 60, path: file) else { throw StoreError.busy(path) }
        return try body()
    }

    private func removal(_ kind: CacheRemoval.Kind, _ index: CachedIndex, bytes: Int64) -> CacheRemoval {
        CacheRemoval(
            kind: kind, path: indexesPath + "/" + index.name, indexID: index.name, name: index.manifest?.name,
            bytes: bytes)
    }

    private func kind(of index: CachedIndex) -> CacheRemoval.Kind {
        switch index.state {
        case .older: .olderIndex
        case .unfinished: .unfinished
        default: .index
        }
    }

    /// Returns all files in `derived/` except those being written, the least recently read first.
    func derivedFiles() throws -> [CacheRemoval] {
        var found: [(CacheRemoval, Double)] = []
        func walk(_ folder: String) throws {
            for name in try Posix.names(in: folder) {
                let child = folder + "/" + name
                guard let status = Posix.linkStatus(child) else { continue }
                if Posix.isDirectory(status) {
                    try walk(child)
                    continue
                }
                if Self.isBeingWritten(name) { continue }
                // Without access times in the file system, the modification time is used.
                let used = max(Self.seconds(status.st_atim), Self.seconds(status.st_mtim))
                let file = CacheRemoval(
                    kind: .derived, path: child, indexID: nil, name: nil, bytes: Int64(status.st_size))
                found.append((file, used))
            }
        }
        if Posix.linkStatus(derivedPath) != nil { try walk(derivedPath) }
        return found.sorted { $0.1 < $1.1 }.map(\.0)
    }

    /// Returns the number of bytes that evicting an index's patches would free; nil if nothing would be freed.
    private func removablePatches(_ index: CachedIndex) -> Int64? {
        guard let manifest = index.manifest, index.state == .complete || index.state == .partial,
            manifest.patches.kept == .all, manifest.frames > PatchSample.maxFrames
        else { return nil }
        let sample =
            PatchSample.indices(frames: manifest.frames).count * manifest.layout.patchBytes + SegmentFormat.headerBytes
            + SegmentFormat.footerBytes
        let freed = index.patchBytes - Int64(sample)
        return freed > 0 ? freed : nil
    }

    /// Returns the reason why an index cannot be removed; nil if it can.
    private func reasonToKeep(_ index: CachedIndex) throws -> String? {
        let directory = indexesPath + "/" + index.name
        guard let lock = try? IndexLock(directory: directory) else { return "being written" }
        defer { lock.release() }
        return (try? ReaderLock.exclusive(directory: directory)) == nil ? "open" : nil
    }

    /// Removes a whole index; returns the reason if it could not be removed.
    private func evict(_ index: CachedIndex) throws -> String? {
        let directory = indexesPath + "/" + index.name
        guard let lock = try? IndexLock(directory: directory) else { return "being written" }
        defer { lock.release() }
        do {
            let readers = try ReaderLock.exclusive(directory: directory)
            try moveToTrash(directory)
            withExtendedLifetime(readers) {}
        } catch let error as StoreError where error.code == .locked {
            return "open"
        }
        try emptyTrash()
        return nil
    }

    /// Removes the patches of an index except its sample; returns the bytes freed, nil if the patches must be kept.
    private func evictPatches(_ index: CachedIndex) throws -> Int64? {
        do {
            return try evictPatches(indexID: index.name)
        } catch let error as StoreError where [.locked, .noSpace, .damaged, .notFound].contains(error.code) {
            return nil
        }
    }

    /// Removes the patches of an index except an evenly spaced sample; returns the number of bytes freed.
    ///
    /// Throws `StoreError`: `.locked` while it is being written or read, `.notFound`, `.noSpace` for the sample,
    /// `.damaged`.
    @discardableResult
    public func evictPatches(indexID: String) throws -> Int64 {
        let directory = path(indexID: indexID)
        let lock = try IndexLock(directory: directory)
        defer { lock.release() }
        var manifest = try ManifestFile.load(directory: directory)
        guard manifest.patches.kept == .all else { return 0 }
        let old = manifest.patches.files.reduce(0) { $0 + $1.bytes }
        var new = PatchFiles(kept: .sample)
        if manifest.frames > 0 {
            let sources = try manifest.patches.files.indices.map {
                try SegmentReader(
                    directory: directory, number: $0, stream: .patch,
                    heads: manifest.key.allowsReferences ? .all : .ends)
            }
            let header = SegmentFormat.Header(
                identity: SegmentFormat.Identity(key: manifest.key, layout: manifest.layout), stream: .patch,
                framesPerSegment: PatchSample.maxFrames, number: SegmentFormat.sampleNumber)
            // Written before readers are locked out, to keep the time they are locked out short.
            new = PatchFiles(
                kept: .sample,
                files: [
                    try SampleWriter.write(
                        PatchSample.indices(frames: manifest.frames), from: sources,
                        owners: FrameOwners(
                            directory: directory, segments: manifest.segments, key: manifest.key),
                        directory: directory, header: header)
                ])
        }
        manifest.patches = new
        let readers: ReaderLock
        do {
            readers = try ReaderLock.exclusive(directory: directory)
            try ManifestFile.save(manifest, directory: directory)
        } catch {
            // The rename of the new manifest may have succeeded even if the flush after it failed.
            if try ManifestFile.load(directory: directory).patches.kept == .all {
                for file in new.files { try Posix.remove(directory + "/" + file.file) }
            }
            throw error
        }
        try ManifestFile.removeOtherFiles(directory: directory, manifest: manifest)
        withExtendedLifetime(readers) {}
        return Int64(old - new.files.reduce(0) { $0 + $1.bytes })
    }
}

extension RemovalReport {
    fileprivate mutating func add(_ item: CacheRemoval) {
        removed.append(item)
        bytesAfter -= item.bytes
    }
}

/// The size limit of a cache, enforced before each segment is written.
public struct CacheBudget: Sendable {
    /// The cache to limit.
    public let cache: CacheDirectory
    /// Size limit in bytes.
    public let limit: Int64
    private let usage: CacheUsage

    /// Limits `cache` to `limit` bytes.
    ///
    /// - Parameter usage: the cache's current usage, if this process already tracks it.
    public init(cache: CacheDirectory, limit: Int64, usage: CacheUsage? = nil) {
        self.cache = cache
        self.limit = limit
        self.usage = usage ?? CacheUsage(cache)
    }

    /// Makes room for `bytes` more, which index `indexID` needs; see `CacheDirectory.shrink`.
    ///
    /// Throws `StoreError` `.cacheFull`, naming the pinned indexes, if there is still too little room.
    @discardableResult
    public func makeRoom(for bytes: Int64, indexID: String) throws -> RemovalReport {
        let fits = try usage.hasRoom(for: bytes, limit: limit)
        usage.add(bytes)
        guard !fits else { return RemovalReport() }
        let report = try cache.shrink(to: max(0, limit - bytes), keep: [indexID])
        try usage.measure()
        usage.add(bytes)
        guard report.bytesAfter + bytes > limit else { return report }
        throw StoreError.full(
            cache.path, needed: bytes, limit: limit, used: report.bytesAfter,
            pinned: report.pinned.map { "\($0.name ?? $0.indexID) (\($0.reason), \(counted($0.bytes, "byte")))" })
    }
}
