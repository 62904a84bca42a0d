import Glibc

/// Damage found in one file of the cache.
public struct CacheDamage: Sendable, Equatable {
    /// The ID of the index the file belongs to; empty for a file that belongs to no index.
    public let indexID: String
    /// The recording's file name, if known.
    public let name: String?
    /// Path of the damaged file.
    public let file: String
    /// The damaged frame; nil if the whole file is damaged.
    public let frame: Int?
    /// What is wrong with the file.
    public let reason: String
    /// True if the system could not read the file; that does not prove damage, so repair leaves the file alone.
    public let isUnreadable: Bool
}

/// The result of checking the cache.
public struct CacheCheck: Sendable {
    /// Number of indexes with a readable manifest.
    public var indexes = 0
    /// Number of indexes without a manifest.
    public var unfinished = 0
    /// Number of indexes of other format versions, which are not checked.
    public var otherVersions = 0
    /// Number of segment and patch files checked.
    public var files = 0
    /// Number of frames in the checked segments.
    public var frames = 0
    /// Number of bytes whose checksums were computed.
    public var bytesRead: Int64 = 0
    /// All damage found.
    public var damage: [CacheDamage] = []
}

/// The part of the cache's files whose data one check reads.
public struct CheckSubset: Sendable, Equatable {
    /// Number of this part, 1 to `of`.
    public let part: Int
    /// Total number of parts.
    public let of: Int

    /// Parses text such as "2/7"; nil if the text is invalid.
    public init?(_ text: String) {
        let numbers = text.split(separator: "/", omittingEmptySubsequences: false)
        guard numbers.count == 2, let part = Int(numbers[0]), let of = Int(numbers[1]), (1...1_000_000).contains(of),
            (1...of).contains(part)
        else { return nil }
        (self.part, self.of) = (part, of)
    }

    func contains(_ number: Int) -> Bool { number % of == part - 1 }
}

extension CacheDirectory {
    /// Checks every index: manifests, headers, record heads and footers; with `readData` also the frames' data.
    ///
    /// With `subset` only the data of that part of the files is read; all parts together cover all files. `progress`
    /// gets the size in bytes of each record read; an error it throws ends the check. Indexes removed during the check
    /// are left out.
    public func check(
        readData: Bool, subset: CheckSubset? = nil, progress: (Int) throws -> Void = { _ in }
    ) throws -> CacheCheck {
        var check = CacheCheck()
        var number = 0
        check.damage += try strays()
        for index in try contents() {
            let directory = indexesPath + "/" + index.name
            if index.state.isKnown { check.damage += try strays(in: directory, index) }
            // The lock keeps the index from being evicted during the check.
            guard let lock = try? ReaderLock.shared(directory: directory) else {
                if Posix.linkStatus(directory) != nil, access(path, W_OK) != 0 {
                    try checkIndex(index, directory, readData, subset, &number, &check, progress)
                }
                continue
            }
            defer { withExtendedLifetime(lock) {} }
            try checkIndex(index, directory, readData, subset, &number, &check, progress)
        }
        return check
    }

    private func checkIndex(
        _ index: CachedIndex, _ directory: String, _ readData: Bool, _ subset: CheckSubset?, _ number: inout Int,
        _ check: inout CacheCheck, _ progress: (Int) throws -> Void
    ) throws {
        func note(_ file: String, _ frame: Int?, _ reason: String, isUnreadable: Bool = false) {
            check.damage.append(
                CacheDamage(
                    indexID: index.name, name: index.manifest?.name, file: directory + "/" + file, frame: frame,
                    reason: reason, isUnreadable: isUnreadable))
        }
        switch index.state {
        case .older, .newer:
            check.otherVersions += 1
            return
        case .damaged(let reason):
            if Posix.otherKind(directory + "/" + ManifestFile.name) == nil { note(ManifestFile.name, nil, reason) }
        case .unreadable(let reason): note(ManifestFile.name, nil, reason, isUnreadable: true)
        case .unfinished: check.unfinished += 1
        case .complete, .partial, .setAside: check.indexes += 1
        }
        let manifest = index.manifest
        // A file that its writer is replacing right now may not match the manifest read earlier.
        let isSettled = manifest != nil && !index.isBeingWritten
        for file in CacheDirectory.sealedFiles(directory, manifest: isSettled ? manifest : nil) {
            check.files += 1
            number += 1
            do {
                let reader = try SegmentReader(directory: directory, number: file.number, stream: file.stream)
                if let summary = file.summary, reader.summary != summary {
                    note(file.name, nil, "not the one in the manifest")
                }
                if let manifest, reader.header.identity.key != manifest.key {
                    note(file.name, nil, "key of another index")
                }
                if file.stream == .frame { check.frames += reader.summary.count }
                guard readData, subset?.contains(number) ?? true else { continue }
                for fault in try reader.damagedRecords(progress: {
                    check.bytesRead += Int64($0)
                    try progress($0)
                }) {
                    note(file.name, fault.frame, fault.reason)
                }
            } catch is StoreError where Posix.otherKind(directory + "/" + file.name) != nil {
                // Already reported as not a regular file.
            } catch let error as StoreError {
                // The file was removed with its index or replaced by its writer.
                let isGone = Posix.linkStatus(directory) == nil || !isSettled && error.code == .notFound
                let reason = error.code == .notFound ? "missing" : error.message
                let isKnown = [.damaged, .notFound, .newerFormat, .olderFormat].contains(error.code)
                if !isGone { note(file.name, nil, reason, isUnreadable: !isKnown) }
            }
        }
    }

    /// Returns the files of an index that must be intact: those in its manifest, or else those in its folder.
    static func sealedFiles(
        _ directory: String, manifest: Manifest?
    ) -> [(name: String, number: Int, stream: RecordStream, summary: SegmentSummary?)] {
        if let manifest {
            let sample = SegmentFormat.sampleNumber
            return manifest.segments.enumerated().map { ($1.file, $0, .frame, $1) }
                + manifest.patches.files.enumerated().map {
                    ($1.file, manifest.patches.kept == .sample ? sample : $0, .patch, $1)
                }
        }
        return ((try? Posix.names(in: directory)) ?? []).compactMap { name in
            if name == "sample.pat" { return (name, SegmentFormat.sampleNumber, .patch, nil) }
            guard name.hasSuffix(".seg") || name.hasSuffix(".pat"), let number = Int(name.dropLast(4)) else {
                return nil
            }
            return (name, number, name.hasSuffix(".seg") ? .frame : .patch, nil)
        }
    }
}

/// The result of repairing one index.
public struct CacheRepair: Sendable, Equatable {
    /// What was done to the index.
    public enum Action: String, Sendable {
        /// The index now ends before the damage; the next `index` continues from there.
        case shortened
        /// The manifest was removed; the next `index` writes a new one.
        case reopened
        /// Nothing was left to keep, so the index was removed.
        case removed
        /// Left alone because another process is using the index or the system could not read it.
        case skipped
    }

    /// The ID of the repaired index.
    public let indexID: String
    /// The recording's file name, if known.
    public let name: String?
    /// What was done to the index.
    public let action: Action
    /// Number of frames left in the index.
    public let frames: Int
    /// The damage that was repaired, or left if the index was skipped.
    public let damage: [CacheDamage]
}

extension CacheDirectory {
    /// Removes damaged data: each index is cut before its first damaged segment and becomes partial.
    ///
    /// Reads all data, and also removes the leftovers of dead processes. `progress` gets the size in bytes of each
    /// record read.
    public func repair(progress: (Int) throws -> Void = { _ in }) throws -> [CacheRepair] {
        let damage = Dictionary(grouping: try check(readData: true, progress: progress).damage, by: \.indexID)
        var repairs: [CacheRepair] = []
        for (name, found) in damage.sorted(by: { $0.key < $1.key }) {
            let gone = try found.filter { try removeStray($0.file, indexID: name) }
            guard gone.count == found.count else { continue }
            repairs.append(
                CacheRepair(indexID: name, name: gone.first?.name, action: .removed, frames: 0, damage: gone))
        }
        for (name, found) in damage.sorted(by: { $0.key < $1.key }) {
            let directory = indexesPath + "/" + name
            guard !name.isEmpty, Posix.linkStatus(directory) != nil, !repairs.contains(where: { $0.indexID == name })
            else { continue }
            func done(_ action: CacheRepair.Action, _ frames: Int) {
                repairs.append(
                    CacheRepair(
                        indexID: name, name: found.first?.name, action: action, frames: frames, damage: found))
            }
            guard !found.contains(where: \.isUnreadable), let lock = try? IndexLock(directory: directory),
                let readers = try? ReaderLock.exclusive(directory: directory)
            else {
                done(.skipped, 0)
                continue
            }
            defer { lock.release() }
            if let frames = try shorten(directory, damaged: Set(found.map(\.file))) {
                let hasManifest = Posix.linkStatus(directory + "/" + ManifestFile.name) != nil
                done(hasManifest ? .shortened : .reopened, frames)
            } else {
                try moveToTrash(directory)
                done(.removed, 0)
            }
            withExtendedLifetime(readers) {}
        }
        _ = try removeLeftovers(unfinished: false)
        return repairs
    }

    /// Keeps the segments before the first damaged one; returns the number of frames left, nil if no segment is left.
    private func shorten(_ directory: String, damaged: Set<String>) throws -> Int? {
        func isDamaged(_ name: String) -> Bool { damaged.contains(directory + "/" + name) }
        let sample = SegmentFormat.fileName(SegmentFormat.sampleNumber)
        let manifest = try? ManifestFile.load(directory: directory)
        // An index without its patch sample cannot be asked anything, and the sample cannot be rebuilt from the rest.
        if manifest?.patches.kept == .sample, isDamaged(sample) { return nil }
        var kept = 0
        while true {
            let (frames, patches) = (SegmentFormat.fileName(kept), SegmentFormat.fileName(kept, .patch))
            guard Posix.linkStatus(directory + "/" + frames) != nil, !isDamaged(frames), !isDamaged(patches) else {
                break
            }
            kept += 1
        }
        guard kept > 0 else { return nil }
        let last = try SegmentReader(directory: directory, number: kept - 1)
        let frames = last.summary.first + last.summary.count
        try Posix.remove(directory + "/" + ManifestFile.name)
        try Posix.syncDirectory(directory)
        for name in try Posix.names(in: directory) where name.hasSuffix(".seg") || name.hasSuffix(".pat") {
            if let number = Int(name.dropLast(4)), number >= kept { try Posix.remove(directory + "/" + name) }
            if name == sample, isDamaged(name) { try Posix.remove(directory + "/" + name) }
        }
        try Posix.syncDirectory(directory)
        guard var manifest, manifest.segments.count >= kept else { return frames }
        let dropped = manifest.segments.count - kept
        manifest.segments = Array(manifest.segments.prefix(kept))
        manifest.frames = frames
        if manifest.patches.kept == .all {
            manifest.patches = PatchFiles(kept: .all, files: Array(manifest.patches.files.prefix(kept)))
        } else if manifest.patches.kept == .sample {
            // The sample includes frames that are gone; the next run makes a new one.
            return frames
        }
        manifest.state = "partial"
        manifest.duration = last.entries.last.map { $0.gridTime }
        manifest.warnings.append(
            "\(Manifest.repaired): \(dropped) damaged segments were dropped; the next run goes on at frame \(frames)")
        try ManifestFile.save(manifest, directory: directory)
        return frames
    }
}

extension Manifest {
    /// Prefix of the warning in a shortened index; such an index is continued like one whose run ended early.
    public static let repaired = "repaired"
}

extension CachedIndex.State {
    fileprivate var isKnown: Bool {
        switch self {
        case .older, .newer: false
        default: true
        }
    }
}

// Files that are not regular files where a regular file is expected.
extension CacheDirectory {
    /// Returns the entries of one index's folder that are not regular files.
    private func strays(in directory: String, _ index: CachedIndex) throws -> [CacheDamage] {
        ((try? Posix.names(in: directory)) ?? []).compactMap { name in
            Posix.otherKind(directory + "/" + name).map {
                Self.stray(directory + "/" + name, $0, indexID: index.name, name: index.manifest?.name)
            }
        }
    }

    /// Returns stray entries outside the indexes: special files among the cache's own files and in `derived/`, and
    /// non-folders in `indexes/`.
    private func strays() throws -> [CacheDamage] {
        var found: [CacheDamage] = []
        for name in [Self.tag, Self.limitsName, Self.budgetName] {
            let file = path + "/" + name
            if let kind = Posix.otherKind(file) { found.append(Self.stray(file, kind, indexID: "")) }
        }
        for name in try Posix.names(in: indexesPath) {
            let file = indexesPath + "/" + name
            guard let status = Posix.linkStatus(file), !Posix.isDirectory(status) else { continue }
            guard IndexKey.isID(name) || !Posix.isRegular(status) else { continue }
            found.append(
                Self.stray(file, Posix.otherKind(file) ?? "a regular file", indexID: name, expected: "a folder"))
        }
        func walk(_ folder: String) {
            for name in (try? Posix.names(in: folder)) ?? [] {
                let file = folder + "/" + name
                guard let status = Posix.linkStatus(file) else { continue }
                // A folder in `derived/` that has a prefix cache's name is found when that file is opened.
                if Posix.isDirectory(status) {
                    walk(file)
                } else if let kind = Posix.otherKind(file) {
                    found.append(Self.stray(file, kind, indexID: ""))
                }
            }
        }
        walk(derivedPath)
        return found
    }

    private static func stray(
        _ file: String, _ kind: String, indexID: String, name: String? = nil, expected: String = "a regular file"
    ) -> CacheDamage {
        CacheDamage(
            indexID: indexID, name: name, file: file, frame: nil, reason: "\(kind), not \(expected)",
            isUnreadable: false)
    }

    /// Removes a stray outside the indexes, one with the name of an index, or a hidden file in an index; returns false for other files.
    private func removeStray(_ file: String, indexID: String) throws -> Bool {
        let folder = Posix.parent(of: file)
        let isHidden = file.split(separator: "/").last?.hasPrefix(".") == true
        guard indexID.isEmpty || folder == indexesPath || isHidden else { return false }
        // A process that took a lock meanwhile has created the regular file.
        guard let status = Posix.linkStatus(file) else { return true }
        if folder != indexesPath, Posix.isRegular(status) { return true }
        if folder == indexesPath, Posix.isDirectory(status) { return true }
        try Posix.remove(file)
        try Posix.syncDirectory(folder)
        return true
    }
}
