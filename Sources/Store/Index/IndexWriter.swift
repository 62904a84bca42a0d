import Glibc

/// Writes one index frame by frame, continuing where an earlier run stopped.
///
/// Sealed segments survive every crash; at most the open one is lost. After an error the open segment is discarded and
/// the next frame is `framesDone` again. The writer holds one record in memory. It holds the index's lock until
/// `finish` succeeds, or until `suspend`, `discard` or its deinit.
public final class IndexWriter {
    /// Default number of frames in a segment.
    public static let framesPerSegment = 600

    let key: IndexKey
    let layout: RecordLayout
    let keeping: PatchKeeping
    let framesPerSegment: Int
    /// Number of the first segment this writer writes; the segments before it are written elsewhere.
    let firstSegment: Int
    let directory: String
    private var lock: IndexLock?
    private var open: OpenSegment?
    /// Per frame of the open segment whether it has its own record.
    private var ownRecords: [Bool] = []
    var segments: [SegmentSummary] = []
    /// One entry per segment; nil if the segment has no patch file.
    var patchFiles: [SegmentSummary?] = []
    /// The patch sample of an earlier `finish` that this run continues.
    var earlierSample: SegmentReader?

    /// Number of frames up to the end of the sealed segments, which is the index of the first frame to append.
    public internal(set) var framesDone = 0
    /// Number of the segment after the sealed ones.
    var nextSegment: Int { firstSegment + segments.count }

    /// Called before a segment is started, with its first frame and maximum number of frames; an error it throws ends
    /// `append`.
    public var beforeSegment: ((_ first: Int, _ frames: Int) throws -> Void)?
    /// Called before a segment is sealed; if it throws, the segment is discarded.
    public var beforeSeal: (() throws -> Void)?

    /// The segment being written, in temporary files until it is sealed.
    private struct OpenSegment {
        let frames: SegmentWriter
        /// Nil until the first frame whose patches are kept.
        var patches: SegmentWriter?
        /// Index of the segment, from 0.
        let number: Int
        /// Index of its first frame.
        let first: Int
        /// The frame whose patches the last record in `patches` has, with `PatchKeeping.sample`.
        var patchOwner: Int?

        func discard() {
            frames.discard()
            patches?.discard()
        }
    }

    /// Takes the lock, removes leftovers of dead processes and keeps the sealed segments before the first gap.
    ///
    /// - Parameters:
    ///   - directory: the index's folder; created if missing.
    ///   - folders: the folders above `directory` to flush, innermost first, so that all names of its path are on disk.
    ///   - keep: ignored if `layout` has no patches.
    ///   - firstSegment: the segment to start with; from 1 on, only a part of an index is written, see `SegmentRange`.
    /// - Throws: `StoreError`, e.g. if another process holds the lock or the key is of another format version.
    init(
        directory: String, in folders: [String], key: IndexKey, layout: RecordLayout, keep: PatchKeeping,
        framesPerSegment: Int, firstSegment: Int = 0
    ) throws {
        let known = SegmentFormat.versions
        if key.formatVersion > known.upperBound {
            throw StoreError.newer(directory, found: key.formatVersion, known: known.upperBound)
        }
        if key.formatVersion < known.lowerBound {
            throw StoreError.olderKey(key.formatVersion, known: known.lowerBound)
        }
        guard layout.isConsistent else { throw StoreError.layoutTooLarge() }
        self.key = key
        self.layout = layout
        keeping = layout.hasPatches ? keep : .none
        self.framesPerSegment = framesPerSegment
        self.firstSegment = firstSegment
        framesDone = firstSegment * framesPerSegment
        self.directory = directory
        // Report an invalid segment length or an identity too large for the header before touching the disk.
        _ = try SegmentFormat.encode(header(0, .frame))
        // Remove a symbolic link: the index would be written into the folder it points to.
        if let status = Posix.linkStatus(directory), !Posix.isDirectory(status) { try Posix.remove(directory) }
        try Posix.makeDirectory(directory)
        // Flush the names of the index's folder and its parent: a killed process may have created them without
        // flushing.
        for folder in folders { try Posix.syncDirectory(folder) }
        lock = try IndexLock(directory: directory)
        IndexWriter.ignoreFileSizeSignal()
        try ReaderLock.makeFile(directory: directory)
        try keepSealedSegments()
        try checkShortSegment()
    }

    /// Appends the next frame; `parts` are the record's parts in the layout's order.
    ///
    /// Throws `StoreError`: `.badKey` for a frame out of order, parts of another size or a finished writer, `.noSpace`,
    /// `.io`; and errors thrown by `beforeSegment` and `beforeSeal`.
    public func append(_ entry: FrameEntry, parts: [UnsafeRawBufferPointer]) throws {
        try append(entry, parts, isReference: false)
    }

    /// Appends the next frame as a reference to the last frame that has its own record; `parts` are that one's.
    ///
    /// Throws as `append(_:parts:)`, and `.badKey` for the first frame of a segment or a key without references.
    public func append(reference entry: FrameEntry, parts: [UnsafeRawBufferPointer]) throws {
        try append(entry, parts, isReference: true)
    }

    private func append(_ entry: FrameEntry, _ parts: [UnsafeRawBufferPointer], isReference: Bool) throws {
        guard lock != nil else { throw StoreError.writerFinished() }
        let next = nextFrame
        guard Int(entry.index) == next else { throw StoreError.outOfOrder(got: entry.index, expected: next) }
        guard parts.count == layout.parts.count, zip(parts, layout.parts).allSatisfy({ $0.count == $1.bytes }) else {
            throw StoreError.badParts(parts.map(\.count), expected: layout.parts.map(\.bytes))
        }
        do {
            try openSegment()
            try write(entry, parts, isReference: isReference)
            if open?.frames.frames == framesPerSegment { try seal() }
        } catch {
            discardOpenSegment()
            throw error
        }
    }

    /// Returns the disk space in bytes needed to write frames `first..<first + frames` as one segment.
    public static func bytes(first: Int, frames: Int, layout: RecordLayout, keep: PatchKeeping) -> Int64 {
        // 16 KiB for two headers, two footers and a manifest.
        let frameFile = Int64(frames) * Int64(layout.frameBytes) + 16384
        switch keep {
        case .none: return frameFile
        case .all: return frameFile + Int64(frames) * Int64(layout.patchBytes)
        case .sample:
            // The patches kept while indexing, plus the copy of a sample of them that `finish` makes.
            let held = (first..<first + max(frames, 0)).count { PatchSample.holds($0) }
            let sample = PatchSample.indices(frames: first + max(frames, 0)).count
            return frameFile + Int64(held + sample) * Int64(layout.patchBytes)
        }
    }

    /// Returns true if the patches of the frame at `index` are written; `finish` may keep only a sample of them.
    public func keepsPatches(of index: Int) -> Bool {
        switch keeping {
        case .all: true
        case .sample: PatchSample.holds(index)
        case .none: false
        }
    }

    /// Seals the last segment and writes the manifest that `manifest` makes from the sealed contents.
    ///
    /// Throws `StoreError`: `.badKey` if the manifest has another key, layout, frame count or other files, `.noSpace`,
    /// `.io`; and errors thrown by `beforeSeal`. Releases the lock on success.
    public func finish(_ manifest: (IndexContents) -> Manifest) throws {
        guard lock != nil else { throw StoreError.writerFinished() }
        do {
            try seal()
        } catch {
            discardOpenSegment()
            throw error
        }
        let contents = IndexContents(frames: framesDone, segments: segments, patches: try sealedPatches())
        let manifest = manifest(contents)
        if manifest.key != key { throw StoreError.manifestMismatch("key") }
        if manifest.layout != layout { throw StoreError.manifestMismatch("layout") }
        if manifest.frames != framesDone { throw StoreError.manifestMismatch("number of frames") }
        if manifest.segments != segments { throw StoreError.manifestMismatch("list of segments") }
        if manifest.patches != contents.patches { throw StoreError.manifestMismatch("list of patch files") }
        try ManifestFile.save(manifest, directory: directory)
        try ManifestFile.removeOtherFiles(directory: directory, manifest: manifest)
        lock = nil
    }

    /// Seals the open segment and releases the lock so that a later writer can continue; returns the number of frames
    /// kept.
    public func suspend() throws -> Int {
        guard lock != nil else { return framesDone }
        defer { discard() }
        try seal()
        return framesDone
    }

    /// Removes the open segment and releases the lock; sealed segments are kept.
    public func discard() {
        discardOpenSegment()
        lock = nil
    }

    private func discardOpenSegment() {
        open?.discard()
        open = nil
    }

    /// Index of the next frame to append, counting those in the open segment.
    public var nextFrame: Int { open.map { $0.first + $0.frames.frames } ?? framesDone }

    /// Returns for each frame since the last full segment whether it has its own record; throws `StoreError`.
    public func unfinishedSegment() throws -> [Bool] {
        if open != nil { return ownRecords }
        guard let last = segments.last, last.count < framesPerSegment else { return [] }
        let file = try SegmentReader(directory: directory, number: nextSegment - 1)
        return file.entries.map { file.owner(of: Int($0.index)) == Int($0.index) }
    }

    /// The header of segment `number`, or of the patch sample if `number` is `SegmentFormat.sampleNumber`.
    func header(_ number: Int, _ stream: RecordStream) -> SegmentFormat.Header {
        SegmentFormat.Header(
            identity: SegmentFormat.Identity(key: key, layout: layout), stream: stream,
            framesPerSegment: number == SegmentFormat.sampleNumber ? PatchSample.maxFrames : framesPerSegment,
            number: number)
    }

    /// Starts a segment if none is open: a new one, or the short last one again.
    private func openSegment() throws {
        guard open == nil else { return }
        let short = segments.last.flatMap { $0.count < framesPerSegment ? $0 : nil }
        try beforeSegment?(short?.first ?? framesDone, framesPerSegment)
        let number = nextSegment - (short == nil ? 0 : 1)
        open = OpenSegment(
            frames: try SegmentWriter(directory: directory, header: header(number, .frame)), number: number,
            first: short?.first ?? framesDone)
        ownRecords.removeAll(keepingCapacity: true)
        // A sealed file is never appended to: copy the short segment's records into the new file, which replaces the
        // old one when it is sealed.
        if let short { try copy(short) }
    }

    private func write(_ entry: FrameEntry, _ parts: [UnsafeRawBufferPointer], isReference: Bool) throws {
        guard var segment = open else { return }
        guard !isReference else { return try write(reference: entry, parts, &segment) }
        if keepsPatches(of: Int(entry.index)) {
            try patchWriter(&segment).append(entry, parts: parts)
            segment.patchOwner = Int(entry.index)
        }
        try segment.frames.append(entry, parts: parts)
        open = segment
        ownRecords.append(true)
    }

    private func write(
        reference entry: FrameEntry, _ parts: [UnsafeRawBufferPointer], _ segment: inout OpenSegment
    ) throws {
        guard key.allowsReferences, let owner = segment.frames.lastRecord else {
            throw StoreError.noReference(frame: entry.index)
        }
        // A sample has records of its own: the frames whose record they have may not be in it.
        if keeping == .sample, keepsPatches(of: Int(entry.index)) {
            let patches = try patchWriter(&segment)
            if segment.patchOwner == owner, let record = patches.lastRecord {
                patches.append(reference: entry, owner: record)
            } else {
                try patches.append(entry, parts: parts)
                segment.patchOwner = owner
            }
        }
        segment.frames.append(reference: entry, owner: owner)
        open = segment
        ownRecords.append(false)
    }

    private func patchWriter(_ segment: inout OpenSegment) throws -> SegmentWriter {
        if let writer = segment.patches { return writer }
        let writer = try SegmentWriter(directory: directory, header: header(segment.number, .patch))
        segment.patches = writer
        open = segment
        return writer
    }

    /// Copies the records of the short last segment into the open one.
    private func copy(_ short: SegmentSummary) throws {
        guard var segment = open else { return }
        let records = RecordBuffer(layout)
        let frames = try SegmentReader(directory: directory, number: segment.number)
        let end = short.first + short.count
        try records.each(frames, below: end) { try segment.frames.append($0, parts: $1) }
        for reference in frames.references {
            segment.frames.append(reference: reference.entry, owner: Int(reference.owner))
        }
        ownRecords = frames.entries.map { frames.owner(of: Int($0.index)) == Int($0.index) }
        guard (patchFiles.last ?? nil) != nil else { return }
        let patches = try SegmentReader(directory: directory, number: segment.number, stream: .patch)
        try records.each(patches, below: end) { entry, parts in
            try patchWriter(&segment).append(entry, parts: parts)
            segment.patchOwner = frames.owner(of: Int(entry.index))
        }
        for reference in patches.references where reference.entry.index < end {
            try patchWriter(&segment).append(reference: reference.entry, owner: Int(reference.owner))
        }
        open = segment
    }

    /// Publishes the open segment's files; updates the manifest if it listed a shorter version of the segment.
    private func seal() throws {
        guard let segment = open, segment.frames.frames > 0 else { return discardOpenSegment() }
        try segment.patches?.seal()
        try segment.frames.seal()
        try beforeSeal?()
        let replacing = segment.first < framesDone
        // The manifest contains the short segment's checksum, which is about to change. Without a manifest, a crash in
        // between leaves an index that can be resumed, never one that contradicts itself.
        let previous = replacing ? try? ManifestFile.load(directory: directory) : nil
        if replacing { try dropManifest() }
        // Patches first: a segment counts as sealed once its frame file exists.
        let patches = try segment.patches?.publish(replacing: replacing)
        let frames = try segment.frames.publish(replacing: replacing)
        open = nil
        if replacing {
            segments.removeLast()
            patchFiles.removeLast()
        }
        segments.append(frames)
        patchFiles.append(patches)
        framesDone = frames.first + frames.count
        // The index was readable before this run: keep it so, with the grown segment.
        guard var manifest = previous, manifest.patches.kept == keeping else { return }
        if keeping == .all {
            let files = patchFiles.compactMap { $0 }
            guard files.count == segments.count else { return }
            manifest.patches = PatchFiles(kept: .all, files: files)
        }
        manifest.segments = segments
        manifest.frames = framesDone
        manifest.state = "partial"
        try ManifestFile.save(manifest, directory: directory)
    }

    func dropManifest() throws {
        try Posix.remove(directory + "/" + ManifestFile.name)
        try Posix.syncDirectory(directory)
        CrashPoint.reach(.manifestDropped)
    }

    /// Ignores SIGXFSZ unless it has a handler, so that a write over the file size limit (`ulimit -f`) fails with EFBIG
    /// instead of ending the process.
    private static func ignoreFileSizeSignal() {
        var action = sigaction()
        guard sigaction(SIGXFSZ, nil, &action) == 0, action.__sigaction_handler.sa_handler == nil else { return }
        signal(SIGXFSZ, SIG_IGN)
    }
}

/// A buffer for the parts of one record, filled from sealed files.
final class RecordBuffer {
    private let layout: RecordLayout
    private let buffers: [UnsafeMutableRawBufferPointer]

    init(_ layout: RecordLayout) {
        self.layout = layout
        buffers = layout.parts.map { .allocate(byteCount: $0.bytes, alignment: 64) }
    }

    deinit { for buffer in buffers { buffer.deallocate() } }

    /// Calls `body` with each record of a frame below `end`, without the references to it.
    ///
    /// Only the parts of `source`'s stream (frame or patch) are read; the others keep their previous content.
    func each(
        _ source: SegmentReader, below end: Int, _ body: (FrameEntry, [UnsafeRawBufferPointer]) throws -> Void
    ) throws {
        let descriptor = try SegmentReader.open(source.path)
        defer { close(descriptor) }
        for (record, entry) in source.heads.enumerated() where entry.index < end {
            try read(source, descriptor, record, entry, body)
        }
    }

    /// Reads one record's parts in `source`'s stream and calls `body` with all parts.
    func read(
        _ source: SegmentReader, _ descriptor: Int32, _ record: Int, _ entry: FrameEntry,
        _ body: (FrameEntry, [UnsafeRawBufferPointer]) throws -> Void
    ) throws {
        for part in layout.parts(of: source.stream) {
            try source.read(
                descriptor, record: record, frame: Int(entry.index), part: part, into: buffers[part])
        }
        try body(entry, buffers.map { UnsafeRawBufferPointer($0) })
    }
}
