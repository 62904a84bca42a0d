import Foundation
import Glibc

/// One folder in `indexes/`, in any state.
public struct CachedIndex: Sendable {
    /// The state of an index.
    public enum State: Sendable, Equatable {
        /// All frames are indexed.
        case complete
        /// Indexed up to a point, with a manifest.
        case partial
        /// Sealed segments without a manifest; the next `index` continues from there.
        case unfinished
        /// The old index while its replacement is being written.
        case setAside
        /// Written by a program with an older format version.
        case older(version: Int)
        /// Written by a program with a newer format version.
        case newer(version: Int)
        /// The manifest is damaged.
        case damaged(reason: String)
        /// The system could not read the index now, which does not prove damage.
        case unreadable(reason: String)
    }

    /// The folder's name.
    public let name: String
    /// The state of the index.
    public let state: State
    /// The manifest; nil if it could not be read.
    public let manifest: Manifest?
    /// Size of all files of the index in bytes.
    public let bytes: Int64
    /// Size of the patch files alone in bytes.
    public let patchBytes: Int64
    /// When the index was last asked, in seconds since 1970; its creation time if it has not been asked yet.
    public let asked: Double
    /// True while a process is writing the index.
    public let isBeingWritten: Bool
}

extension CacheDirectory {
    /// Returns all folders in `indexes/` except those of imports, sorted by name.
    public func contents() throws -> [CachedIndex] {
        try Posix.names(in: indexesPath).filter { !$0.hasPrefix(Self.importPrefix) }.compactMap { name in
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

    /// Returns the state of a folder that has no readable manifest of this format version.
    private func state(_ directory: String, _ error: StoreError?) -> CachedIndex.State {
        switch error?.code {
        case .notFound?:
            // A killed run of another version may have left segments without a manifest.
            let first = directory + "/" + SegmentFormat.fileName(0)
            switch (try? SegmentReader(directory: directory, number: 0), Self.version(ofFile: first)) {
            case (nil, let version?) where version < SegmentFormat.versions.lowerBound: return .older(version: version)
            case (nil, let version?) where version > SegmentFormat.versions.upperBound: return .newer(version: version)
            default: return .unfinished
            }
        case .olderFormat?: return .older(version: ManifestFile.version(directory: directory) ?? 0)
        case .newerFormat?: return .newer(version: ManifestFile.version(directory: directory) ?? 0)
        case .damaged?: return .damaged(reason: error?.message ?? "cannot be read")
        default: return .unreadable(reason: error?.message ?? "cannot be read")
        }
    }

    /// Returns the format version in a segment's header; nil if the file is not a segment.
    private static func version(ofFile path: String) -> Int? {
        guard let descriptor = try? SegmentReader.open(path) else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 12)
        let got = bytes.withUnsafeMutableBytes { try? Posix.pread(descriptor, $0, offset: 0, path: path) }
        guard got == 12, Array(bytes.prefix(8)) == SegmentFormat.magic else { return nil }
        return Int(bytes.withUnsafeBytes { $0.u32(8) })
    }

    static func seconds(_ time: timespec) -> Double { Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9 }

    /// Removes files that a crash just after the manifest was written left over; does nothing if another process is
    /// writing.
    public func tidy(indexID: String) {
        let directory = path(indexID: indexID)
        guard let manifest = try? ManifestFile.load(directory: directory),
            let names = try? Posix.names(in: directory),
            names.contains(where: { !manifest.fileNames.contains($0) && !$0.hasPrefix(".") }),
            let lock = try? IndexLock(directory: directory)
        else { return }
        defer { lock.release() }
        // Load it again under the lock: the index may have grown meanwhile.
        guard let manifest = try? ManifestFile.load(directory: directory) else { return }
        try? ManifestFile.removeOtherFiles(directory: directory, manifest: manifest)
    }
}
