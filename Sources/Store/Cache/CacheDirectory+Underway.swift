import Glibc

/// An index that is being written, or whose writer ended before it wrote a manifest.
public struct UnderwayIndex: Sendable {
    /// The ID of the index.
    public let indexID: String
    /// Number of frames in sealed segments and, while it is being written, in the open segment.
    public let frames: Int
    /// Number of sealed segments.
    public let segments: Int
    /// Size of all files in bytes.
    public let bytes: Int64
    /// The index key; nil until the first segment has been started.
    public let key: IndexKey?
    /// True while its writer is alive.
    public let isBeingWritten: Bool
}

extension CacheDirectory {
    /// Returns the unfinished indexes, by ID; folders of dead writers that sealed no frame are left out.
    ///
    /// Read-only: takes no lock and changes no file.
    public func underway() throws -> [UnderwayIndex] {
        try Posix.names(in: indexesPath).filter(IndexKey.isID).compactMap { name in
            let directory = indexesPath + "/" + name
            let hasManifest = Posix.linkStatus(directory + "/" + ManifestFile.name) != nil
            let isHeld = IndexLock.isHeld(directory: directory)
            guard !hasManifest || isHeld else { return nil }
            let found = describeUnderway(name, directory, isHeld)
            return isHeld || found.frames > 0 ? found : nil
        }
    }

    private func describeUnderway(_ name: String, _ directory: String, _ isHeld: Bool) -> UnderwayIndex {
        var (frames, segments, bytes): (Int, Int, Int64) = (0, 0, 0)
        var key: IndexKey?
        for file in (try? Posix.names(in: directory)) ?? [] {
            let size = Posix.linkStatus(directory + "/" + file).map { Int64($0.st_size) } ?? 0
            bytes += size
            let parts = file.split(separator: ".")
            guard let number = parts.first.flatMap({ Int($0) }), parts.dropFirst().first == "seg",
                parts.count == 2 || isHeld && parts.last == "tmp",
                let header = header(ofFile: directory + "/" + file)
            else { continue }
            if parts.count == 2 { segments += 1 }
            key = header.identity.key
            let record = Int64(max(header.identity.layout.frameBytes, 1))
            let body = size - Int64(SegmentFormat.headerBytes) - Int64(parts.count == 2 ? SegmentFormat.footerBytes : 0)
            var count = min(Int(max(body, 0) / record), header.framesPerSegment)
            // References are written when the segment is sealed; until then only the records count.
            if header.identity.key.allowsReferences, parts.count == 2,
                let sealed = try? SegmentReader(directory: directory, number: number, heads: .ends)
            {
                count = sealed.summary.count
            }
            frames = max(frames, number * header.framesPerSegment + count)
        }
        return UnderwayIndex(
            indexID: name, frames: frames, segments: segments, bytes: bytes, key: key, isBeingWritten: isHeld)
    }

    private func header(ofFile path: String) -> SegmentFormat.Header? {
        guard let descriptor = try? SegmentReader.open(path) else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: SegmentFormat.headerBytes)
        let got = bytes.withUnsafeMutableBytes { try? Posix.pread(descriptor, $0, offset: 0, path: path) }
        guard got == bytes.count else { return nil }
        return try? bytes.withUnsafeBytes { try SegmentFormat.decodeHeader($0, path: path) }
    }
}
