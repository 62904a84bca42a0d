import Glibc

/// Reads a finished index.
///
/// It keeps no file open: every read opens its segment, so an index of any length costs no descriptors, and one that
/// is removed meanwhile gives `.notFound`. It can be used from several threads at once.
public final class IndexReader: Sendable {
    public let manifest: Manifest
    /// All frames in their order, `entries[i].index == i`.
    public let entries: [FrameEntry]
    public var layout: RecordLayout { manifest.layout }

    private let segments: [SegmentReader]

    /// Opens the index for `key`; throws `StoreError` `.notFound`, `.damaged`, `.newerFormat` or `.io`.
    public convenience init(cache: CacheDirectory, key: IndexKey) throws {
        let directory = cache.indexPath(key)
        let known = SegmentFormat.version
        if key.formatVersion > known { throw StoreError.newer(directory, found: key.formatVersion, known: known) }
        try self.init(directory: directory)
        guard manifest.key == key else {
            throw StoreError.damagedManifest(directory + "/" + ManifestFile.name, "another key")
        }
    }

    /// Opens the index in `directory`; throws `StoreError` `.notFound`, `.damaged`, `.newerFormat` or `.io`.
    public init(directory: String) throws {
        let manifest = try ManifestFile.load(directory: directory)
        let identity = SegmentFormat.Identity(key: manifest.key, layout: manifest.layout)
        var segments: [SegmentReader] = []
        var entries: [FrameEntry] = []
        for (number, summary) in manifest.segments.enumerated() {
            let path = directory + "/" + SegmentFormat.fileName(number)
            let segment: SegmentReader
            do {
                segment = try SegmentReader(directory: directory, number: number)
            } catch let error as StoreError where error.code == .notFound {
                throw StoreError.damagedSegment(path, "missing")
            }
            guard segment.header.identity == identity else {
                throw StoreError.damagedSegment(path, "key or layout of another index")
            }
            guard segment.summary == summary, summary.first == entries.count else {
                throw StoreError.damagedSegment(path, "not the one in the manifest")
            }
            segments.append(segment)
            entries += segment.entries
        }
        guard manifest.frames == entries.count else {
            throw StoreError.damagedManifest(directory + "/" + ManifestFile.name, "number of frames")
        }
        self.manifest = manifest
        self.segments = segments
        self.entries = entries
    }

    /// True when there is a readable manifest of this key; the segments are not looked at.
    public static func exists(cache: CacheDirectory, key: IndexKey) -> Bool {
        (try? ManifestFile.load(directory: cache.indexPath(key)))?.key == key
    }

    /// Reads one part of one frame and checks it; `buffer` must have the part's size.
    ///
    /// Throws `StoreError`: `.badKey` for a part, frame or size that does not exist, `.damaged` naming segment and
    /// frame, `.notFound` when the index was removed, `.io`.
    public func read(part: Int, frame: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        guard layout.parts.indices.contains(part), entries.indices.contains(frame) else {
            throw StoreError.noSuchPart(part: part, frame: frame, parts: layout.parts.count, frames: entries.count)
        }
        let segment = segments[self.segment(of: frame)]
        let descriptor = try SegmentReader.open(segment.path)
        defer { close(descriptor) }
        try IndexReader.readPart(
            descriptor, of: segment, record: frame - segment.summary.first, part: part, into: buffer)
    }

    /// The last segment that begins at or before `frame`.
    private func segment(of frame: Int) -> Int {
        var (low, high) = (0, segments.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if segments[middle].summary.first <= frame { low = middle } else { high = middle }
        }
        return low
    }

    static func readPart(
        _ descriptor: Int32, of segment: SegmentReader, record: Int, part: Int,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws {
        let layout = segment.header.identity.layout
        let size = layout.parts[part].bytes
        guard buffer.count == size else { throw StoreError.badBuffer(buffer.count, expected: size) }
        let offset = SegmentFormat.headerBytes + record * layout.recordBytes + layout.offset(ofPart: part)
        let got = try Posix.pread(descriptor, buffer, offset: offset, path: segment.path)
        let frame = Int(segment.entries[record].index)
        guard got == size else { throw StoreError.damagedFrame(segment.path, frame: frame, "truncated") }
        let expected = segment.checksums[record * layout.parts.count + part]
        guard Checksum.of(UnsafeRawBufferPointer(buffer)) == expected else {
            throw StoreError.damagedFrame(segment.path, frame: frame, "checksum of \(layout.parts[part].name)")
        }
    }
}
