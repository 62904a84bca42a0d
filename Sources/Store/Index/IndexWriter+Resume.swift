import Glibc

// Resuming after an earlier run: which of its files are kept.
extension IndexWriter {
    func keepSealedSegments() throws {
        let names = try Posix.names(in: directory)
        for name in names where name.hasSuffix(".tmp") { try Posix.remove(directory + "/" + name) }
        if keeping == .sample { earlierSample = try validSample() }
        while let (frames, patches) = try sealedSegment(nextSegment) {
            segments.append(frames)
            patchFiles.append(patches)
            framesDone += frames.count
            // Only the last segment of an index may be short.
            if frames.count < framesPerSegment { break }
        }
        var kept = Set((segments + patchFiles.compactMap { $0 }).map(\.file))
        if earlierSample != nil { kept.insert(SegmentFormat.fileName(SegmentFormat.sampleNumber)) }
        let stale = names.filter { ($0.hasSuffix(".seg") || $0.hasSuffix(".pat")) && !kept.contains($0) }
        if stale.isEmpty { return }
        try dropManifest()
        // Frame files first: a segment without its frame file was never sealed.
        for name in stale.filter({ $0.hasSuffix(".seg") }) + stale.filter({ $0.hasSuffix(".pat") }) {
            try Posix.remove(directory + "/" + name)
        }
        try Posix.syncDirectory(directory)
    }

    /// Returns segment `number` if it is intact and continues this index; nil if it is missing or must be removed.
    private func sealedSegment(_ number: Int) throws -> (SegmentSummary, SegmentSummary?)? {
        guard let frames = try file(number, .frame, .all), frames.summary.first == framesDone else { return nil }
        let end = framesDone + frames.summary.count
        switch keeping {
        case .none: return (frames.summary, nil)
        case .all:
            guard let patches = try file(number, .patch, .ends), patches.hasPatches(of: frames) else { return nil }
            return (frames.summary, patches.summary)
        case .sample:
            let patches = try file(number, .patch, .all)
            let held = Set((patches?.entries ?? []).map { Int($0.index) })
            let covered = sampleEnd
            for frame in framesDone..<end where frame >= covered && PatchSample.holds(frame) && !held.contains(frame) {
                return nil
            }
            return (frames.summary, patches?.summary)
        }
    }

    /// Returns a file of this index; nil if it is missing, damaged or belongs to another index.
    private func file(_ number: Int, _ stream: RecordStream, _ heads: SegmentReader.Heads) throws -> SegmentReader? {
        do {
            let found = try SegmentReader(directory: directory, number: number, stream: stream, heads: heads)
            return found.header == header(number, stream) ? found : nil
        } catch let error as StoreError where [.notFound, .damaged, .olderFormat].contains(error.code) {
            return nil
        }
    }

    /// Returns the sample of an earlier `finish`: the multiples of a power of two, starting at 0.
    private func validSample() throws -> SegmentReader? {
        guard let found = try file(SegmentFormat.sampleNumber, .patch, .all) else { return nil }
        let indices = found.entries.map { Int($0.index) }
        let step = indices.count > 1 ? indices[1] : 1
        guard step.nonzeroBitCount == 1, indices == indices.indices.map({ $0 * step }) else { return nil }
        return found
    }

    /// Distance between the frames in `earlierSample`; 1 if it has fewer than two frames.
    private var sampleStep: Int {
        guard let entries = earlierSample?.entries, entries.count > 1 else { return 1 }
        return Int(entries[1].index)
    }

    /// `earlierSample` holds every multiple of its step below this frame.
    private var sampleEnd: Int { (earlierSample?.entries.count ?? 0) * sampleStep }

    /// Removes a damaged short last segment now; otherwise the damage would be found only when the segment is
    /// rewritten.
    func checkShortSegment() throws {
        guard let last = segments.last, last.count < framesPerSegment,
            Posix.linkStatus(directory + "/" + ManifestFile.name) == nil
        else { return }
        let number = nextSegment - 1
        let patches = patchFiles.last ?? nil
        for stream in patches == nil ? [RecordStream.frame] : [.frame, .patch] {
            guard let file = try file(number, stream, .all), try file.damagedRecords().isEmpty else {
                segments.removeLast()
                patchFiles.removeLast()
                framesDone = last.first
                for name in [last.file, patches?.file].compactMap({ $0 }) {
                    try Posix.remove(directory + "/" + name)
                }
                return try Posix.syncDirectory(directory)
            }
        }
    }

    /// Returns the patch files for the manifest; a sample is built from the patches on disk.
    func sealedPatches() throws -> PatchFiles {
        switch keeping {
        case .none: return PatchFiles(kept: .none)
        case .all: return PatchFiles(kept: .all, files: patchFiles.compactMap { $0 })
        case .sample: break
        }
        guard framesDone > 0 else { return PatchFiles(kept: .sample) }
        // A run that ends earlier than the previous one lacks the frames between those of the previous sample.
        let step = max(PatchSample.stride(frames: framesDone), sampleStep)
        let indices = Array(stride(from: 0, to: framesDone, by: step))
        if let earlierSample, earlierSample.entries.map({ Int($0.index) }) == indices {
            return PatchFiles(kept: .sample, files: [earlierSample.summary])
        }
        let sources = try patchFiles.enumerated().compactMap { number, summary in
            try summary.map { _ in try SegmentReader(directory: directory, number: number, stream: .patch) }
        }
        // The manifest that names the old sample must never exist together with the new one.
        if earlierSample != nil { try dropManifest() }
        let summary = try SampleWriter.write(
            indices, from: [earlierSample].compactMap { $0 } + sources,
            owners: FrameOwners(directory: directory, segments: segments, key: key), directory: directory,
            header: header(SegmentFormat.sampleNumber, .patch))
        return PatchFiles(kept: .sample, files: [summary])
    }
}

/// Which frame's record each frame of an index has.
struct FrameOwners {
    /// The frame files; empty if every frame has its own record.
    private let segments: [SegmentReader]

    init(directory: String, segments: [SegmentSummary], key: IndexKey) throws {
        self.segments =
            key.allowsReferences
            ? try segments.indices.map { try SegmentReader(directory: directory, number: $0) } : []
    }

    /// Returns a frame's own entry and the index of the frame whose record it has; nil if it has its own.
    func reference(_ index: Int) -> (entry: FrameEntry, owner: Int)? {
        guard let segment = segments.last(where: { $0.summary.first <= index }),
            segment.entries.indices.contains(index - segment.summary.first), let owner = segment.owner(of: index),
            owner != index
        else { return nil }
        return (segment.entries[index - segment.summary.first], owner)
    }
}

/// Builds `sample.pat` from records in other patch files.
enum SampleWriter {
    /// Throws `StoreError`: `.damaged` if a record is damaged or missing from all files, `.noSpace`, `.io`.
    static func write(
        _ indices: [Int], from sources: [SegmentReader], owners: FrameOwners, directory: String,
        header: SegmentFormat.Header
    ) throws -> SegmentSummary {
        let writer = try SegmentWriter(directory: directory, header: header)
        defer { writer.discard() }
        let records = RecordBuffer(header.identity.layout)
        var firstSource = 0
        var opened: (source: Int, descriptor: Int32)?
        defer { if let opened { close(opened.descriptor) } }
        var lastOwner: Int?
        for index in indices {
            let reference = owners.reference(index)
            let owner = reference?.owner ?? index
            // Two frames of the sample with the same record share it here too.
            if let reference, owner == lastOwner, let record = writer.lastRecord {
                writer.append(reference: reference.entry, owner: record)
                continue
            }
            lastOwner = owner
            // Sources and indices are both ascending; the earlier sample comes first and overlaps the other sources.
            while firstSource < sources.count, sources[firstSource].last < owner { firstSource += 1 }
            // A file of a sample has the frame itself, one with all patches the frame whose record it has.
            var found: (source: Int, record: Int, frame: Int)?
            for source in firstSource..<sources.count
            where found == nil && sources[source].summary.first <= index {
                for frame in reference == nil ? [index] : [index, owner] where found == nil {
                    if let record = sources[source].record(of: frame) {
                        found = (source, record, sources[source].owner(of: frame) ?? frame)
                    }
                }
            }
            guard let found else {
                throw StoreError.damagedFrame(directory, frame: index, "its patches are in no file")
            }
            if opened?.source != found.source {
                if let opened { close(opened.descriptor) }
                opened = nil
                opened = (found.source, try SegmentReader.open(sources[found.source].path))
            }
            guard let descriptor = opened?.descriptor else { continue }
            let source = sources[found.source]
            let entry = try source.entry(descriptor, record: found.record, frame: found.frame)
            try records.read(source, descriptor, found.record, entry) {
                try writer.append(reference?.entry ?? $0, parts: $1)
            }
        }
        try writer.seal()
        return try writer.publish(replacing: true)
    }
}
