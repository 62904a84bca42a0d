import Glibc

/// Writes one index, frame after frame, and goes on where an earlier run stopped.
///
/// Sealed segments survive every crash; at most the open one is lost. After an error the open segment is gone and the
/// next frame is `framesDone` again. The writer holds one record in memory and the index's lock until `finish`,
/// `discard` or its end.
public final class IndexWriter {
    /// The usual number of frames in a segment.
    public static let framesPerSegment = 600

    private let key: IndexKey
    private let layout: RecordLayout
    private let framesPerSegment: Int
    private let directory: String
    private var lock: IndexLock?
    private var open: SegmentWriter?
    private var segments: [SegmentSummary] = []

    /// The frames in sealed segments: the index of the first frame that is still to be appended.
    public private(set) var framesDone = 0

    /// Takes the lock, clears what dead runs left, and keeps every sealed segment before the first gap.
    ///
    /// SIGXFSZ is ignored from here on if nobody handles it, so that a file size limit is an error and not the end of
    /// the process. Throws `StoreError`: `.locked`, `.newerFormat`, `.badKey`, `.noSpace`, `.io`.
    public init(
        cache: CacheDirectory, key: IndexKey, layout: RecordLayout,
        framesPerSegment: Int = IndexWriter.framesPerSegment
    ) throws {
        let known = SegmentFormat.version
        let directory = cache.indexPath(key)
        if key.formatVersion > known { throw StoreError.newer(directory, found: key.formatVersion, known: known) }
        if key.formatVersion < known { throw StoreError.olderKey(key.formatVersion, known: known) }
        guard layout.isConsistent else { throw StoreError.layoutTooLarge() }
        self.key = key
        self.layout = layout
        self.framesPerSegment = framesPerSegment
        self.directory = directory
        _ = try SegmentFormat.encode(header(0))
        if try Posix.makeDirectory(directory) { try Posix.syncDirectory(Posix.parent(of: directory)) }
        lock = try IndexLock(directory: directory)
        IndexWriter.ignoreFileSizeSignal()
        try keepSealedSegments()
        try checkShortSegment()
    }

    /// A short last segment is written anew when it grows: what is damaged of it must go now, not then.
    private func checkShortSegment() throws {
        guard let last = segments.last, last.count < framesPerSegment, Posix.linkStatus(manifestPath) == nil else {
            return
        }
        do {
            let source = try SegmentReader(directory: directory, number: segments.count - 1)
            let descriptor = try SegmentReader.open(source.path)
            defer { close(descriptor) }
            for (part, size) in layout.parts.map(\.bytes).enumerated() {
                let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
                defer { buffer.deallocate() }
                for record in 0..<source.entries.count {
                    try IndexReader.readPart(descriptor, of: source, record: record, part: part, into: buffer)
                }
            }
        } catch let error as StoreError where error.code == .damaged || error.code == .notFound {
            segments.removeLast()
            framesDone = last.first
            try Posix.remove(directory + "/" + last.file)
            try Posix.syncDirectory(directory)
        }
    }

    private var manifestPath: String { directory + "/" + ManifestFile.name }

    /// Adds the next frame; `parts` are the record's parts in the layout's order.
    ///
    /// Throws `StoreError`: `.badKey` for a frame out of order or parts of another size, `.noSpace` with the bytes,
    /// `.io`.
    public func append(_ entry: FrameEntry, parts: [UnsafeRawBufferPointer]) throws {
        guard lock != nil else { throw StoreError.writerFinished() }
        let next = nextFrame
        guard Int(entry.index) == next else { throw StoreError.outOfOrder(got: entry.index, expected: next) }
        let expected = layout.parts.map(\.bytes)
        guard parts.map(\.count) == expected else { throw StoreError.badParts(parts.map(\.count), expected: expected) }
        try withOpenSegment { segment in
            try segment.append(entry, parts: parts)
            if segment.count == framesPerSegment { try seal(segment) }
        }
    }

    /// Seals the last segment and writes the manifest that `manifest` makes of the frames and segments there are.
    ///
    /// Throws `StoreError`: `.badKey` when the manifest names another key, layout, count or other segments, else
    /// `.noSpace` or `.io`. The lock is given back when it succeeds.
    public func finish(_ manifest: (_ framesTotal: Int, _ segments: [SegmentSummary]) -> Manifest) throws {
        guard lock != nil else { throw StoreError.writerFinished() }
        if let segment = open {
            do {
                try seal(segment)
            } catch {
                discardOpenSegment()
                throw error
            }
        }
        let made = manifest(framesDone, segments)
        if made.key != key { throw StoreError.manifestMismatch("key") }
        if made.layout != layout { throw StoreError.manifestMismatch("layout") }
        if made.frames != framesDone { throw StoreError.manifestMismatch("number of frames") }
        if made.segments != segments { throw StoreError.manifestMismatch("list of segments") }
        try ManifestFile.save(made, directory: directory)
        lock = nil
    }

    /// Seals what there is and gives the lock back: a later writer goes on from there. Returns the frames kept.
    public func suspend() throws -> Int {
        guard lock != nil else { return framesDone }
        defer { discard() }
        if let segment = open, segment.count > 0 { try seal(segment) }
        return framesDone
    }

    /// Removes the open segment and gives the lock back; sealed segments stay.
    public func discard() {
        discardOpenSegment()
        lock = nil
    }

    private func discardOpenSegment() {
        open?.discard()
        open = nil
    }

    /// The index of the frame that `append` takes next, those of the open segment counted.
    public var nextFrame: Int { open.map { $0.first + $0.count } ?? framesDone }

    private func header(_ number: Int) -> SegmentFormat.Header {
        SegmentFormat.Header(
            identity: SegmentFormat.Identity(key: key, layout: layout), framesPerSegment: framesPerSegment,
            number: number)
    }

    /// Runs `body` on the open segment, opening one first if there is none; any error discards it.
    private func withOpenSegment(_ body: (SegmentWriter) throws -> Void) throws {
        do {
            let segment: SegmentWriter
            if let open {
                segment = open
            } else if let last = segments.last, last.count < framesPerSegment {
                segment = try SegmentWriter(directory: directory, header: header(segments.count - 1))
                open = segment
                try copy(last, into: segment)
            } else {
                segment = try SegmentWriter(directory: directory, header: header(segments.count))
                open = segment
            }
            try body(segment)
        } catch {
            discardOpenSegment()
            throw error
        }
    }

    /// A short last segment grows by being written anew: its records come first, and it stays until the seal.
    private func copy(_ short: SegmentSummary, into segment: SegmentWriter) throws {
        let source = try SegmentReader(directory: directory, number: segments.count - 1)
        let descriptor = try SegmentReader.open(source.path)
        defer { close(descriptor) }
        let buffers = layout.parts.map { UnsafeMutableRawBufferPointer.allocate(byteCount: $0.bytes, alignment: 64) }
        defer { for buffer in buffers { buffer.deallocate() } }
        for record in 0..<source.entries.count {
            for part in buffers.indices {
                try IndexReader.readPart(
                    descriptor, of: source, record: record, part: part, into: buffers[part])
            }
            try segment.append(source.entries[record], parts: buffers.map { UnsafeRawBufferPointer($0) })
        }
    }

    private func seal(_ segment: SegmentWriter) throws {
        let replacing = segment.first < framesDone
        // The manifest names the short segment's checksum, which is about to change: without a manifest in between,
        // a crash leaves an index to be resumed and never one that contradicts itself.
        let previous = replacing ? try? ManifestFile.load(directory: directory) : nil
        if replacing { try dropManifest() }
        let summary = try segment.seal(replacing: replacing)
        open = nil
        if replacing { segments.removeLast() }
        segments.append(summary)
        framesDone = summary.first + summary.count
        guard var manifest = previous else { return }
        manifest.segments = segments
        manifest.frames = framesDone
        manifest.state = "partial"
        try ManifestFile.save(manifest, directory: directory)
    }

    private func dropManifest() throws {
        try Posix.remove(directory + "/" + ManifestFile.name)
        try Posix.syncDirectory(directory)
    }

    private func keepSealedSegments() throws {
        let names = try Posix.names(in: directory)
        for name in names where name.hasSuffix(".tmp") { try Posix.remove(directory + "/" + name) }
        let found = names.filter { $0.hasSuffix(".seg") }
        while let segment = try sealedSegment(segments.count) {
            segments.append(segment.summary)
            framesDone += segment.summary.count
            // Only the last segment of an index may be short.
            if segment.summary.count < framesPerSegment { break }
        }
        let kept = Set(segments.map(\.file))
        let stale = found.filter { !kept.contains($0) }
        if stale.isEmpty { return }
        try dropManifest()
        for name in stale { try Posix.remove(directory + "/" + name) }
        try Posix.syncDirectory(directory)
    }

    /// Segment `number` when it is whole and continues this index, nil when it is absent or has to go.
    private func sealedSegment(_ number: Int) throws -> SegmentReader? {
        do {
            let segment = try SegmentReader(directory: directory, number: number)
            return segment.header == header(number) && segment.summary.first == framesDone ? segment : nil
        } catch let error as StoreError where error.code == .notFound || error.code == .damaged {
            return nil
        }
    }

    private static func ignoreFileSizeSignal() {
        var action = sigaction()
        guard sigaction(SIGXFSZ, nil, &action) == 0, action.__sigaction_handler.sa_handler == nil else { return }
        signal(SIGXFSZ, SIG_IGN)
    }
}
