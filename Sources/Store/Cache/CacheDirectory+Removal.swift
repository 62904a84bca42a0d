import Glibc

/// Something that left the cache, or would.
public struct CacheRemoval: Sendable, Equatable {
    public enum Kind: String, Sendable {
        /// What dead runs left: temporary files, the trash.
        case leftover
        /// A file of `derived/`.
        case derived
        /// The patches of an index; its sample stays.
        case patches
        case index
        /// An index of an older format version, which no program of this version reads.
        case olderIndex = "older_index"
        /// Segments of a run that never finished.
        case unfinished
    }

    public let kind: Kind
    /// The path of the file or folder.
    public let path: String
    /// Nil for what belongs to no index.
    public let indexID: String?
    /// The recording's file name, where it is known.
    public let name: String?
    public let bytes: Int64
}

/// Something that had to stay.
public struct PinnedIndex: Sendable, Equatable {
    public let indexID: String
    public let name: String?
    public let bytes: Int64
    /// "being written" or "open".
    public let reason: String
}

/// What making room did.
public struct RemovalReport: Sendable {
    public var removed: [CacheRemoval] = []
    public var pinned: [PinnedIndex] = []
    public var bytesBefore: Int64 = 0
    public var bytesAfter: Int64 = 0
}

extension CacheDirectory {
    /// Removes until the cache has at most `limit` bytes, in this order: derived files, oldest access first; patches of
    /// whole indexes; whole indexes, each not asked for longest first. What is open or being written stays.
    ///
    /// - Parameter keep: indexes that are not touched.
    /// - Parameter dryRun: only say what would be done.
    /// Throws `StoreError`: `.locked` when another process makes room for more than a minute, `.io`.
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
            try removeTemporaryFiles(in: derivedPath, indexID: nil, dryRun, &report)
            for file in try derivedFiles() where report.bytesAfter > limit {
                if !dryRun { try Posix.remove(file.path) }
                report.add(file)
            }
            guard report.bytesAfter > limit else { return report }
            let indexes = try contents().filter { !keep.contains($0.name) }.sorted { $0.asked < $1.asked }
            var slimmed: [String: Int64] = [:]
            for index in indexes where report.bytesAfter > limit {
                guard let bytes = removablePatches(index) else { continue }
                // What cannot go now may go whole, or is told as pinned below.
                let freed = try dryRun ? (whyNot(index) == nil ? bytes : nil) : evictPatches(index)
                guard let freed else { continue }
                slimmed[index.name] = freed
                report.add(removal(.patches, index, bytes: freed))
            }
            for index in indexes where report.bytesAfter > limit {
                switch index.state {
                case .newer, .unreadable: continue
                default: break
                }
                if index.state == .setAside {
                    let reason = "kept until its successor is complete"
                    report.pinned.append(
                        PinnedIndex(
                            indexID: index.name, name: index.manifest?.name, bytes: index.bytes, reason: reason))
                    continue
                }
                let bytes = index.bytes - (slimmed[index.name] ?? 0)
                if let reason = try dryRun ? whyNot(index) : evict(index) {
                    report.pinned.append(
                        PinnedIndex(indexID: index.name, name: index.manifest?.name, bytes: bytes, reason: reason))
                } else {
                    report.add(removal(kind(of: index), index, bytes: bytes))
                }
            }
            return report
        }
    }

    /// Removes what no run will use again: the trash, temporary files, indexes of older versions; with `unfinished` also
    /// the segments of runs that never came to their end.
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
            for folder in [path, derivedPath] {
                try removeTemporaryFiles(in: folder, indexID: nil, dryRun, &report)
            }
            for index in try contents() {
                let directory = indexesPath + "/" + index.name
                switch index.state {
                case .newer, .damaged, .unreadable, .setAside: continue
                case .complete, .partial, .older, .unfinished: break
                }
                var goes = false
                if case .older = index.state { goes = true }
                if goes || unfinished && index.state == .unfinished {
                    if let reason = try dryRun ? whyNot(index) : evict(index) {
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

    private func removeTemporaryFiles(
        in directory: String, indexID: String?, _ dryRun: Bool, _ report: inout RemovalReport
    ) throws {
        guard Posix.linkStatus(directory) != nil else { return }
        for name in try Posix.names(in: directory) where name.hasSuffix(".tmp") {
            let file = directory + "/" + name
            // Outside of an index there is no lock.
            if indexID == nil, Self.isBeingWritten(name) { continue }
            let bytes = Posix.linkStatus(file).map { Int64($0.st_size) } ?? 0
            if !dryRun { try Posix.remove(file) }
            report.add(CacheRemoval(kind: .leftover, path: file, indexID: indexID, name: nil, bytes: bytes))
        }
    }

    /// Whether a temporary file is of a live process: its number is in the name.
    private static func isBeingWritten(_ name: String) -> Bool {
        guard name.hasSuffix(".tmp"), let owner = name.split(separator: ".").dropLast().last.flatMap({ pid_t($0) }),
            owner > 0
        else { return false }
        return kill(owner, 0) == 0 || errno == EPERM
    }

    /// Removes the temporary files of dead processes in `derived/`.
    func removeDeadDerived() throws {
        var report = RemovalReport()
        try removeTemporaryFiles(in: derivedPath, indexID: nil, false, &report)
    }

    static let budgetName = ".budget"

    /// Runs `body` while no other process makes room.
    private func exclusively<Value>(_ body: () throws -> Value) throws -> Value {
        let file = path + "/" + Self.budgetName
        let descriptor = try Posix.openOwn(file, O_RDWR | O_CREAT)
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

    /// All files below `derived/` but those being written, the one not read for longest first.
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
                // Where the file system notes no access times, the time of writing counts.
                let used = max(Self.seconds(status.st_atim), Self.seconds(status.st_mtim))
                let file = CacheRemoval(
                    kind: .derived, path: child, indexID: nil, name: nil, bytes: Int64(status.st_size))
                found.append((file, used))
            }
        }
        if Posix.linkStatus(derivedPath) != nil { try walk(derivedPath) }
        return found.sorted { $0.1 < $1.1 }.map(\.0)
    }

    /// The bytes that evicting an index's patches would free; nil where it would free none.
    private func removablePatches(_ index: CachedIndex) -> Int64? {
        guard let manifest = index.manifest, index.state == .complete || index.state == .partial,
            manifest.patches.kept == .all, manifest.frames > PatchSample.most
        else { return nil }
        let sample =
            PatchSample.indices(frames: manifest.frames).count * manifest.layout.patchBytes + SegmentFormat.headerBytes
            + SegmentFormat.footerBytes
        let freed = index.patchBytes - Int64(sample)
        return freed > 0 ? freed : nil
    }

    /// Why an index has to stay; nil where it can go.
    private func whyNot(_ index: CachedIndex) throws -> String? {
        let directory = indexesPath + "/" + index.name
        guard let lock = try? IndexLock(directory: directory) else { return "being written" }
        defer { lock.release() }
        return (try? ReaderLock.alone(directory: directory)) == nil ? "open" : nil
    }

    /// Removes a whole index; why it stays, where it does.
    private func evict(_ index: CachedIndex) throws -> String? {
        let directory = indexesPath + "/" + index.name
        guard let lock = try? IndexLock(directory: directory) else { return "being written" }
        defer { lock.release() }
        do {
            let readers = try ReaderLock.alone(directory: directory)
            try bury(directory)
            withExtendedLifetime(readers) {}
        } catch let error as StoreError where error.code == .locked {
            return "open"
        }
        try emptyTrash()
        return nil
    }

    /// Removes the patches of an index but for its sample; the bytes that are free now, nil where they have to stay.
    private func evictPatches(_ index: CachedIndex) throws -> Int64? {
        do {
            return try evictPatches(indexID: index.name)
        } catch let error as StoreError where [.locked, .noSpace, .damaged, .notFound].contains(error.code) {
            return nil
        }
    }

    /// Removes the patches of an index but for an evenly spaced sample; returns the bytes that are free now.
    ///
    /// Throws `StoreError`: `.locked` while it is written or open, `.notFound`, `.noSpace` for the sample, `.damaged`.
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
                try SegmentReader(directory: directory, number: $0, stream: .patch, heads: .ends)
            }
            let header = SegmentFormat.Header(
                identity: SegmentFormat.Identity(key: manifest.key, layout: manifest.layout), stream: .patch,
                framesPerSegment: PatchSample.most, number: SegmentFormat.sampleNumber)
            // Written before readers are kept out, so that they are kept out for a moment only.
            new = PatchFiles(
                kept: .sample,
                files: [
                    try SampleWriter.write(
                        PatchSample.indices(frames: manifest.frames), from: sources, directory: directory,
                        header: header)
                ])
        }
        manifest.patches = new
        let readers: ReaderLock
        do {
            readers = try ReaderLock.alone(directory: directory)
            try ManifestFile.save(manifest, directory: directory)
        } catch {
            // The new manifest may have its name already, though that was not flushed.
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

/// What a cache may hold, enforced before each segment.
public struct CacheBudget: Sendable {
    public let cache: CacheDirectory
    public let limit: Int64
    private let usage: CacheUsage

    /// - Parameter usage: what the cache holds, where this process keeps up with it.
    public init(cache: CacheDirectory, limit: Int64, usage: CacheUsage? = nil) {
        self.cache = cache
        self.limit = limit
        self.usage = usage ?? CacheUsage(cache)
    }

    /// Makes room for `bytes` more, which index `indexID` needs; see `CacheDirectory.shrink`.
    ///
    /// Throws `StoreError` `.cacheFull` naming what has to stay, when that is too much.
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
