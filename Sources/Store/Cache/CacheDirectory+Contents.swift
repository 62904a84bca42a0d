import Foundation
import Glibc

/// One folder of `indexes/`, whatever is in it.
public struct CachedIndex: Sendable {
    public enum State: Sendable, Equatable {
        case complete
        case partial
        /// Sealed segments without a manifest: the next `index` goes on from there.
        case unfinished
        /// The old index while a new one is being made.
        case setAside
        /// Made by a program of another time.
        case older(version: Int)
        case newer(version: Int)
        case damaged(reason: String)
        /// The system could not read it now, which says nothing about it.
        case unreadable(reason: String)
    }

    /// The folder's name.
    public let name: String
    public let state: State
    public let manifest: Manifest?
    /// The sizes of all its files; those of its patches alone.
    public let bytes: Int64
    public let patchBytes: Int64
    /// Seconds since 1970; when it was made, where nothing was asked of it yet.
    public let asked: Double
    public let isBeingWritten: Bool
}

extension CacheDirectory {
    /// Everything in `indexes/`, by name.
    public func contents() throws -> [CachedIndex] {
        try Posix.names(in: indexesPath).compactMap { name in
            let directory = indexesPath + "/" + name
            guard let status = Posix.linkStatus(directory), Posix.isDirectory(status) else { return nil }
            return describe(name, directory)
        }
    }

    func describe(_ name: String, _ directory: String) -> CachedIndex {
        var manifest: Manifest?
        var state: CachedIndex.State
        do {
            let found = try ManifestFile.load(directory: directory)
            manifest = found
            state = found.state == "complete" ? .complete : .partial
            if name.hasSuffix(Self.previousSuffix) { state = .setAside }
        } catch {
            state = self.state(directory, error as? StoreError)
        }
        var (bytes, patches): (Int64, Int64) = (0, 0)
        for file in (try? Posix.names(in: directory)) ?? [] {
            let size = Posix.linkStatus(directory + "/" + file).map { Int64($0.st_size) } ?? 0
            bytes += size
            if file.hasSuffix(".pat") { patches += size }
        }
        let asked = [Self.askedName, ManifestFile.name, ""].lazy
            .compactMap { Posix.linkStatus(directory + "/" + $0) }.first.map { Self.seconds($0.st_mtim) }
        return CachedIndex(
            name: name, state: state, manifest: manifest, bytes: bytes, patchBytes: patches, asked: asked ?? 0,
            isBeingWritten: IndexLock.isHeld(directory: directory))
    }

    /// What a folder without a readable manifest of this version is.
    private func state(_ directory: String, _ error: StoreError?) -> CachedIndex.State {
        switch error?.code {
        case .notFound?:
            // A killed run of another version left segments only.
            let first = directory + "/" + SegmentFormat.fileName(0)
            switch (try? SegmentReader(directory: directory, number: 0), Self.version(ofFile: first)) {
            case (nil, let version?) where version < SegmentFormat.version: return .older(version: version)
            case (nil, let version?) where version > SegmentFormat.version: return .newer(version: version)
            default: return .unfinished
            }
        case .olderFormat?: return .older(version: ManifestFile.version(directory: directory) ?? 0)
        case .newerFormat?: return .newer(version: ManifestFile.version(directory: directory) ?? 0)
        case .damaged?: return .damaged(reason: error?.message ?? "cannot be read")
        default: return .unreadable(reason: error?.message ?? "cannot be read")
        }
    }

    /// The format version a segment claims; nil where it is none.
    private static func version(ofFile path: String) -> Int? {
        guard let descriptor = try? SegmentReader.open(path) else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 12)
        let got = bytes.withUnsafeMutableBytes { try? Posix.pread(descriptor, $0, offset: 0, path: path) }
        guard got == 12, Array(bytes.prefix(8)) == SegmentFormat.magic else { return nil }
        return Int(bytes.withUnsafeBytes { $0.u32(8) })
    }

    static func seconds(_ time: timespec) -> Double { Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9 }

    /// Finishes what a crash just behind the manifest left undone; nothing where another process writes.
    public func tidy(indexID: String) {
        let directory = path(indexID: indexID)
        guard let manifest = try? ManifestFile.load(directory: directory),
            let names = try? Posix.names(in: directory),
            names.contains(where: { !manifest.fileNames.contains($0) && !$0.hasPrefix(".") }),
            let lock = try? IndexLock(directory: directory)
        else { return }
        defer { lock.release() }
        // Once more under the lock: it may have grown.
        guard let manifest = try? ManifestFile.load(directory: directory) else { return }
        try? ManifestFile.removeOtherFiles(directory: directory, manifest: manifest)
    }
}
