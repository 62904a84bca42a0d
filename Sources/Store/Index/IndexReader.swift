import Glibc

/// Reads a finished index.
///
/// Every read opens its file, so an index of any length costs two descriptors; reading an index removed meanwhile
/// throws `.notFound`. While the reader exists nothing of the index is evicted. It can be used from several threads at
/// once.
public final class IndexReader: Sendable {
    /// The manifest of the index.
    public let manifest: Manifest
    /// All frames in order, `entries[i].index == i`.
    public let entries: [FrameEntry]
    /// Indices of the frames whose patches can be read, ascending: all frames or an evenly spaced sample.
    public let patchFrames: [Int]
    /// The layout of the index's records.
    public var layout: RecordLayout { manifest.layout }
    /// True if the patches of every frame can be read.
    public var hasAllPatches: Bool { !layout.hasPatches || patchFrames.count == entries.count }

    private let directory: String
    private let segments: [SegmentReader]
    private let patches: [SegmentReader]
    private let sample: OpenFile?
    private let lock: ReaderLock?

    /// The patch sample, kept open: its file is replaced when the index grows.
    private final class OpenFile: Sendable {
        let file: SegmentReader
        let descriptor: Int32

        init(_ file: SegmentReader) throws {
            self.file = file
            descriptor = try SegmentReader.open(file.path)
        }

        deinit { close(descriptor) }
    }

    /// Opens the index in `directory`; throws `StoreError` `.notFound`, `.damaged`, `.newerFormat` or `.io`.
    public init(directory: String) throws {
        let lock = try ReaderLock.shared(directory: directory)
        let manifest = try ManifestFile.load(directory: directory)
        let identity = SegmentFormat.Identity(key: manifest.key, layout: manifest.layout)
        let known = try SegmentFormat.KnownIdentity(identity)
        func open(_ number: Int, _ stream: RecordStream, _ heads: SegmentReader.Heads, as summary: SegmentSummary)
            throws -> SegmentReader
        {
            let path = directory + "/" + SegmentFormat.fileName(number, stream)
            let file: SegmentReader
            do {
                file = try SegmentReader(
                    directory: directory, number: number, stream: stream, heads: heads, known: known)
            } catch let error as StoreError where error.code == .notFound {
                throw StoreError.damagedSegment(path, "missing")
            }
            guard file.header.identity == identity else {
                throw StoreError.damagedSegment(path, "key or layout of another index")
            }
            guard file.summary == summary else { throw StoreError.damagedSegment(path, "not the one in the manifest") }
            return file
        }
        var segments: [SegmentReader] = []
        var entries: [FrameEntry] = []
        for (number, summary) in manifest.segments.enumerated() {
            let segment = try open(number, .frame, .all, as: summary)
            guard summary.first == entries.count else {
                throw StoreError.damagedSegment(segment.path, "not the one in the manifest")
            }
            segments.append(segment)
            entries += segment.entries
        }
        guard manifest.frames == entries.count else {
            throw StoreError.damagedManifest(directory + "/" + ManifestFile.name, "number of frames")
        }
        var patches: [SegmentReader] = []
        var sample: OpenFile?
        switch manifest.patches.kept {
        case .none: patchFrames = []
        case .all:
            for (number, summary) in manifest.patches.files.enumerated() {
                let file = try open(number, .patch, .ends, as: summary)
                guard file.hasPatches(of: segments[number]) else {
                    throw StoreError.damagedSegment(file.path, "not the patches of its frames")
                }
                patches.append(file)
            }
            patchFrames = Array(entries.indices)
        case .sample:
            for summary in manifest.patches.files {
                sample = try OpenFile(open(SegmentFormat.sampleNumber, .patch, .all, as: summary))
            }
            let held = sample?.file.entries ?? []
            guard held.allSatisfy({ $0.index < entries.count }) else {
                throw StoreError.damagedSegment(directory + "/sample.pat", "frames that the index does not have")
            }
            patchFrames = held.map { Int($0.index) }
        }
        self.manifest = manifest
        self.segments = segments
        self.patches = patches
        self.sample = sample
        self.entries = entries
        self.directory = directory
        self.lock = lock
    }

    /// Reads one part of one frame and verifies its checksum; `buffer` must have the part's size.
    ///
    /// Throws `StoreError`: `.badKey` for a part or frame that does not exist or a buffer of another size, `.notKept`
    /// for patches of a frame not in `patchFrames`, `.damaged` naming file and frame, `.notFound` if the index was
    /// removed, `.io`.
    public func read(part: Int, frame: Int, into buffer: UnsafeMutableRawBufferPointer) throws {
        guard layout.parts.indices.contains(part), entries.indices.contains(frame) else {
            throw StoreError.noSuchPart(part: part, frame: frame, parts: layout.parts.count, frames: entries.count)
        }
        if layout.parts[part].stream == .patch, patches.isEmpty {
            guard let sample, let record = sample.file.record(of: frame) else {
                throw StoreError.notKept(directory, frame: frame)
            }
            return try sample.file.read(
                sample.descriptor, record: record, frame: sample.file.owner(of: frame) ?? frame, part: part,
                into: buffer)
        }
        let number = segment(of: frame)
        guard let owner = segments[number].owner(of: frame), let record = segments[number].record(of: frame) else {
            throw StoreError.damagedFrame(segments[number].path, frame: frame, "no record")
        }
        let file = layout.parts[part].stream == .patch ? patches[number] : segments[number]
        let descriptor = try SegmentReader.open(file.path)
        defer { close(descriptor) }
        try file.read(
            descriptor, record: record, frame: owner, part: part, into: buffer)
    }

    /// Returns the index of the frame whose record `frame` has: itself, or an earlier frame of its segment.
    public func owner(of frame: Int) -> Int { segments[segment(of: frame)].owner(of: frame) ?? frame }

    /// Returns the last segment that starts at or before `frame`.
    private func segment(of frame: Int) -> Int {
        var (low, high) = (0, segments.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if segments[middle].summary.first <= frame { low = middle } else { high = middle }
        }
        return low
    }
}
