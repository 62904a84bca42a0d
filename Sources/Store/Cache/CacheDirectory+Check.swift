import Glibc

/// Damage that was found in one file of the cache.
public struct CacheDamage: Sendable, Equatable {
    public let indexID: String
    /// The recording's file name, where it is known.
    public let name: String?
    public let file: String
    /// Nil where the whole file is meant.
    public let frame: Int?
    public let reason: String
    /// The system could not read it: that says nothing about it, and no repair touches it.
    public let isUnreadable: Bool
}

/// What checking the cache found.
public struct CacheCheck: Sendable {
    public var indexes = 0
    public var unfinished = 0
    /// Indexes of other format versions, which are left alone.
    public var otherVersions = 0
    public var files = 0
    public var frames = 0
    /// Bytes whose checksums were computed.
    public var bytesRead: Int64 = 0
    public var damage: [CacheDamage] = []
}

/// One part of m that a check reads, 1 to `of`.
public struct CheckSubset: Sendable, Equatable {
    public let part: Int
    public let of: Int

    /// "2/7"; nil for what is none.
    public init?(_ text: String) {
        let words = text.split(separator: "/", omittingEmptySubsequences: false)
        guard words.count == 2, let part = Int(words[0]), let of = Int(words[1]), (1...1_000_000).contains(of),
            (1...of).contains(part)
        else { return nil }
        (self.part, self.of) = (part, of)
    }

    func contains(_ number: Int) -> Bool { number % of == part - 1 }
}

extension CacheDirectory {
    /// Checks every index: manifests, headers, record heads, footers; with `readData` the frames themselves.
    ///
    /// With a subset only that part of the files' data is read, another for each part; all parts together are all files.
    /// `progress` gets the bytes of each record read; what it throws ends the check. Indexes that are removed meanwhile
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
            // While it is checked, nothing of it is evicted.
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
        // What a writer changes at this moment does not fit the manifest from before.
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
            } catch let error as StoreError where Posix.otherKind(directory + "/" + file.name) != nil {
                // It is among the strays.
                _ = error
            } catch let error as StoreError {
                // Gone with its index, or replaced by its writer.
                let isGone = Posix.linkStatus(directory) == nil || !isSettled && error.code == .notFound
                let reason = error.code == .notFound ? "missing" : error.message
                let isKnown = [.damaged, .notFound, .newerFormat, .olderFormat].contains(error.code)
                if !isGone { note(file.name, nil, reason, isUnreadable: !isKnown) }
            }
        }
    }

    /// The files of an index that should be whole: those of its manifest, or those that are there.
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

/// What repairing one index did.
public struct CacheRepair: Sendable, Equatable {
    public enum Action: String, Sendable {
        /// It ends before the damage now; the next `index` goes on from there.
        case shortened
        /// Its manifest was dropped; the next `index` makes one.
        case reopened
        /// Nothing of it was left.
        case removed
        /// Another process writes or reads it, or the system could not read it.
        case skipped
    }

    public let indexID: String
    public let name: String?
    public let action: Action
    /// The frames that are left.
    public let frames: Int
    public let damage: [CacheDamage]
}

extension CacheDirectory {
    /// Drops what is damaged: an index ends before its first damaged segment and is partial from then on.
    ///
    /// All data is read. What dead runs left goes too. `progress` gets the bytes of each record read.
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
                let readers = try? ReaderLock.alone(directory: directory)
            else {
                done(.skipped, 0)
                continue
            }
            defer { lock.release() }
            if let frames = try shorten(directory, damaged: Set(found.map(\.file))) {
                let hasManifest = Posix.linkStatus(directory + "/" + ManifestFile.name) != nil
                done(hasManifest ? .shortened : .reopened, frames)
            } else {
                try bury(directory)
                done(.removed, 0)
            }
            withExtendedLifetime(readers) {}
        }
        _ = try removeLeftovers(unfinished: false)
        return repairs
    }

    /// Keeps the segments before the first damaged one; the frames that are left, nil where nothing is.
    private func shorten(_ directory: String, damaged: Set<String>) throws -> Int? {
        func isDamaged(_ name: String) -> Bool { damaged.contains(directory + "/" + name) }
        let sample = SegmentFormat.fileName(SegmentFormat.sampleNumber)
        let manifest = try? ManifestFile.load(directory: directory)
        // Without its sample nothing can be asked of such an index, and it cannot be made again from the rest.
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
            // Its sample speaks of frames that are gone: the next run makes another.
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
    /// Begins the note of an index that was shortened: it is gone on with, like one whose run ended early.
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

// What is not a regular file where one should be.
extension CacheDirectory {
    /// The files of one index that are something else.
    private func strays(in directory: String, _ index: CachedIndex) throws -> [CacheDamage] {
        ((try? Posix.names(in: directory)) ?? []).compactMap { name in
            Posix.otherKind(directory + "/" + name).map {
                Self.stray(directory + "/" + name, $0, indexID: index.name, name: index.manifest?.name)
            }
        }
    }

    /// What is beside the indexes: the cache's own files, what is not a folder in `indexes/`, what is not a file in `derived/`.
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
                // A folder of `derived/` that has a file's name is found when the file is wanted.
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

    /// Removes what is beside the indexes, or in place of one, and files of an index without content; false for the others.
    private func removeStray(_ file: String, indexID: String) throws -> Bool {
        let folder = Posix.parent(of: file)
        let isHidden = file.split(separator: "/").last?.hasPrefix(".") == true
        guard indexID.isEmpty || folder == indexesPath || isHidden else { return false }
        // Whoever took a lock meanwhile has put a file there.
        guard let status = Posix.linkStatus(file) else { return true }
        if folder != indexesPath, Posix.isRegular(status) { return true }
        if folder == indexesPath, Posix.isDirectory(status) { return true }
        try Posix.remove(file)
        try Posix.syncDirectory(folder)
        return true
    }
}
