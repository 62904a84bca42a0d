internal import Glibc
internal import Store

/// Maintains a cache folder and its catalog: statistics, checks, pruning and repair.
package struct CacheMaintenance {
    private let cache: CacheDirectory
    private let dataPath: String
    private let limit: CacheSize?
    private let cancellation: Cancellation

    /// Opens an existing cache.
    ///
    /// - Parameter cacheMax: size limit of the cache, in the syntax of `CacheSize`; nil uses the stored limit.
    /// - Throws: `Failure` with exit status 10 if there is no cache; `LongtakeError` for an invalid size.
    package init(
        cachePath: String, dataPath: String, cacheMax: String? = nil, cancellation: Cancellation = Cancellation()
    ) throws {
        limit = try cacheMax.map(Library.size)
        var status = stat()
        guard stat(cachePath, &status) == 0 || errno != ENOENT else {
            throw Failure(
                code: "no_cache", message: "there is no cache in \(cachePath); indexing creates one",
                exitCode: Exit.noCache, remedy: .index)
        }
        cache = try CacheDirectory(path: cachePath)
        self.dataPath = dataPath
        self.cancellation = cancellation
    }

    private var catalogPath: String { dataPath + "/catalog.sqlite" }

    /// Returns statistics of the cache.
    package func stats() throws -> CacheStats {
        let contents = try cache.contents()
        func those(_ fits: (CachedIndex.State) -> Bool) -> [CachedIndex] { contents.filter { fits($0.state) } }
        let whole = those { [.complete, .partial].contains($0) }
        let unfinished = those { $0 == .unfinished }
        let other = those { if case .older = $0 { true } else if case .newer = $0 { true } else { false } }
        return CacheStats(
            path: cache.path, bytes: try cache.usedBytes(), maxBytes: try cache.limit(limit, remember: false),
            freeBytes: try cache.freeBytes(), indexes: whole.count,
            frames: whole.reduce(0) { $0 + ($1.manifest?.frames ?? 0) },
            indexesWithPatches: whole.count { $0.manifest?.hasAllPatches == true },
            patchBytes: whole.reduce(0) { $0 + $1.patchBytes }, derivedBytes: try cache.derivedBytes(),
            trashBytes: try cache.trashBytes(), unfinished: unfinished.count,
            unfinishedBytes: unfinished.reduce(0) { $0 + $1.bytes }, otherVersions: other.count,
            otherVersionsBytes: other.reduce(0) { $0 + $1.bytes },
            damaged: those { if case .damaged = $0 { true } else if case .unreadable = $0 { true } else { false } }
                .count,
            beingWritten: contents.count { $0.isBeingWritten })
    }

    /// Checks the structure of all indexes, with `readData` also every frame; `subset` ("2/7") reads only part of the
    /// files.
    ///
    /// - Parameter progress: gets the number of bytes read so far.
    package func verify(
        readData: Bool, subset: String? = nil, progress: (Int64) -> Void = { _ in }
    ) throws -> CacheVerification {
        let part = try subset.map { text in
            guard let part = CheckSubset(text) else {
                throw LongtakeError(
                    code: .badRequest, message: "invalid part \"\(text)\"; use N/M: 2/7 is the second of seven parts")
            }
            return part
        }
        var read: Int64 = 0
        let check = try cache.check(readData: readData || part != nil, subset: part) {
            read += Int64($0)
            progress(read)
            try cancellation.check()
        }
        var damage = check.damage.map { CacheVerification.Damage($0) }
        if let reason = Catalog.damage(path: catalogPath) {
            damage.append(CacheVerification.Damage(catalog: catalogPath, reason: reason))
        }
        return CacheVerification(
            indexes: check.indexes, unfinished: check.unfinished, otherVersions: check.otherVersions,
            files: check.files, frames: check.frames, bytesRead: check.bytesRead, damage: damage)
    }

    /// Removes data that no run will use again, then the least recently asked data until the size limit is met.
    ///
    /// - Parameter incomplete: also remove segments of runs that did not finish.
    /// - Parameter missingFor: also remove indexes whose files have been known to be gone or replaced for this many
    ///   seconds.
    package func prune(
        incomplete: Bool = false, missingFor: Double? = nil, dryRun: Bool = false
    ) throws -> CachePruning {
        let lost = try missingFor.map { try pruneMissing($0, dryRun: dryRun) } ?? Lost()
        try cancellation.check()
        let max = try cache.limit(limit, remember: !dryRun)
        let leftovers = try cache.removeLeftovers(unfinished: incomplete, dryRun: dryRun)
        // A dry run has removed nothing yet, so what it would remove is treated as removed.
        let gone = dryRun ? leftovers.removed : []
        try cancellation.check()
        let going = Set(gone.compactMap { $0.kind == .leftover ? nil : $0.indexID })
        let goneBytes = gone.reduce(0) { $0 + $1.bytes }
        let (most, overflow) = max.addingReportingOverflow(goneBytes)
        let report = try cache.shrink(to: overflow ? .max : most, keep: going, dryRun: dryRun)
        let after = report.bytesAfter - goneBytes
        let fits = after <= max
        try cancellation.check()
        let paths = recordingPaths()
        func item(_ removal: CacheRemoval) -> CachePruning.Item {
            CachePruning.Item(
                kind: removal.kind.rawValue, path: removal.path, index: removal.indexID, name: removal.name,
                recording: removal.indexID.flatMap { paths[$0] }, bytes: removal.bytes)
        }
        if !dryRun {
            let gone = report.removed.filter { $0.kind == .index }.compactMap(\.indexID)
            // A damaged catalog is rebuilt by the next command that opens the library, which reports it.
            if !gone.isEmpty, Catalog.damage(path: catalogPath) == nil,
                let catalog = try? Catalog(path: catalogPath)
            {
                // A full disk may prevent removing the row; that is harmless, since its index is gone.
                for id in gone { try? catalog.remove(indexID: id) }
            }
        }
        return CachePruning(
            removed: lost.removed + (leftovers.removed + report.removed).map(item),
            pinned: lost.pinned
                + (leftovers.pinned + (fits ? [] : report.pinned)).map {
                    CachePruning.Pinned(index: $0.indexID, name: $0.name, bytes: $0.bytes, reason: $0.reason)
                },
            bytesBefore: leftovers.bytesBefore + (dryRun ? 0 : lost.bytes),
            bytesAfter: after - (dryRun ? lost.bytes : 0), maxBytes: max, unreachable: lost.unreachable,
            isDryRun: dryRun)
    }

    /// Returns the newest path of each index in the catalog; empty if the catalog is missing or damaged.
    private func recordingPaths() -> [String: String] {
        guard access(catalogPath, F_OK) == 0, Catalog.damage(path: catalogPath) == nil,
            let rows = try? Catalog(path: catalogPath).history()
        else { return [:] }
        return Dictionary(rows.map { ($0.indexID, $0.path) }, uniquingKeysWith: { $1 })
    }

    /// The result of `pruneMissing`.
    private struct Lost {
        var removed: [CachePruning.Item] = []
        var pinned: [CachePruning.Pinned] = []
        /// Number of recordings that cannot be reached now; they are kept.
        var unreachable = 0
        var bytes: Int64 { removed.reduce(0) { $0 + $1.bytes } }
    }

    /// Removes indexes whose files have been missing for `seconds`, counted from when `ls`, `rm --missing` or this
    /// first noticed.
    private func pruneMissing(_ seconds: Double, dryRun: Bool) throws -> Lost {
        let library = try Library(cachePath: cache.path, dataPath: dataPath)
        if !dryRun { try library.noteMissing() }
        let now = Double(FileFingerprint.now / 1_000_000_000)
        var locations = try library.locations()
        var lost = Lost()
        for manifest in try cache.indexes() {
            let all = locations.all(of: manifest.key.id, manifest)
            if all.first?.state == .unreachable { lost.unreachable += 1 }
            guard all.allSatisfy(\.state.isMissing), let path = all.first?.path,
                all.allSatisfy({ now - ($0.row?.missing.map { Double($0) } ?? now) >= seconds })
            else { continue }
            do {
                if !dryRun { try library.remove(index: manifest.key.id) }
                lost.removed.append(
                    CachePruning.Item(
                        kind: "missing", path: cache.path(indexID: manifest.key.id), index: manifest.key.id,
                        name: manifest.name, recording: path.description, bytes: manifest.bytes))
            } catch let error as StoreError where error.code == .locked {
                lost.pinned.append(
                    CachePruning.Pinned(
                        index: manifest.key.id, name: manifest.name, bytes: manifest.bytes, reason: "being written"))
            }
        }
        return lost
    }

    /// Reads all data, removes damaged data and leftovers of dead processes, and rebuilds the catalog's recordings.
    ///
    /// - Parameter progress: gets the number of bytes read so far.
    package func repair(progress: (Int64) -> Void = { _ in }) throws -> CacheRepairs {
        var read: Int64 = 0
        let repairs = try cache.repair {
            read += Int64($0)
            progress(read)
            try cancellation.check()
        }
        let library = try Library(cachePath: cache.path, dataPath: dataPath)
        try library.catalog.rebuild(from: cache.indexes())
        return CacheRepairs(
            repaired: repairs.map { repair in
                CacheRepairs.Item(
                    index: repair.indexID, name: repair.name,
                    path: try? library.catalog.rows(indexID: repair.indexID).first?.path,
                    action: repair.action.rawValue,
                    frames: repair.frames, damage: repair.damage.map { CacheVerification.Damage($0) })
            }, recordings: try library.catalog.all().count, notes: library.notes)
    }
}
