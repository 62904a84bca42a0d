internal import Checkpoints
internal import Foundation
internal import Media
internal import Store

extension Indexer {
    /// Returns what indexing a recording would cost.
    ///
    /// - Parameters:
    ///   - sizes: measure the cache's size, which visits every file in it.
    ///   - strict: throw the errors that `index` would throw.
    func plan(_ recording: Recording, sizes: Bool = true, strict: Bool = false) throws -> IndexPlan {
        let file = try recording.open(cancellation)
        let known = try catalogedIndex(of: file, isExact: false)
        if strict, known == nil {
            try options.checkAge(file)
            _ = try checkSpace(recording, file, framesDone: 0, keep: keeping)
        }
        let probe = try recording.probe(request(), cancellation)
        let frames = known?.manifest.frames ?? frames(probe.info)
        var plan = IndexPlan(
            path: file.displayPath, info: probe.info, frames: frames,
            bytes: known?.manifest.bytes ?? frames.map { finalBytes(frames: $0) },
            bytesPerFrame: keeping == .all ? layout.recordBytes : layout.frameBytes,
            freeBytes: try library.cache.freeBytes(), cacheBytes: sizes ? try library.usage.used() : nil,
            cacheMaxBytes: try library.cacheLimit(remember: false), notes: probe.notes,
            estimatedSeconds: frames.map { estimate(frames: $0, info: probe.info) }, indexed: known != nil)
        plan.reuse = options.reuse.makesReferences ? options.reuse.description : nil
        plan.prefixCacheBytes = known.map { library.cache.derivedBytes(indexID: $0.manifest.key.id) }
        return plan
    }

    /// Returns the number of frames for the container's duration; nil if it has none.
    private func frames(_ info: RecordingInfo) -> Int? { frameCount(info).map { min(options.maxFrames, $0) } }

    /// Returns the number of frames for the container's duration, whatever the limit; nil if it has none.
    func frameCount(_ info: RecordingInfo) -> Int? { options.frameCount(info) }

    /// Returns true if there is an index of the recording's content with everything that these options require.
    func isIndexed(_ recording: Recording) throws -> Bool {
        guard !options.force else { return false }
        return try index(of: recording, isExact: true).map(serves) ?? false
    }

    /// Returns the manifest of the index of a recording's content with these options, its origin as indexing would leave
    /// it; nil without an index.
    func indexedManifest(of recording: Recording) throws -> Manifest? {
        // A file that was indexed right after its last change is not proven unchanged; its index counts all the same.
        guard var manifest = try index(of: recording, isExact: false)?.manifest else { return nil }
        manifest.origin = try origin(of: manifest, recording)
        return manifest
    }

    /// Returns the index of a recording's content with these options, whatever path it was indexed from; opens the file.
    ///
    /// A file that the catalog does not know is hashed, but only if a recording of its size is indexed.
    /// - Parameter isExact: as in `catalogedIndex`.
    private func index(of recording: Recording, isExact: Bool) throws -> IndexReader? {
        let file = try recording.open(cancellation)
        if let known = try catalogedIndex(of: file, isExact: isExact) { return known }
        guard try library.catalog.has(size: file.size) else { return nil }
        do {
            let content = try times.waiting {
                try recording.hashed(library.catalog, force: options.force, cancellation)
            }
            return try? IndexReader(cache: library.cache, key: key(content: content.hash))
        } catch let error as LongtakeError where error.code == .unstable {
            // It is being written: indexing it says so.
            return nil
        }
    }

    /// Returns the index of a file with these options, found by the file's fingerprint.
    ///
    /// - Parameter isExact: false for a plan, which does not read files indexed within 2 s of their last change.
    private func catalogedIndex(of file: RecordingFile, isExact: Bool) throws -> IndexReader? {
        guard !options.force else { return nil }
        let rows = try library.catalog.rows(path: file.path)
        guard
            let row = rows.first(where: {
                isExact ? $0.proves(file.fingerprint) : $0.fingerprint.equals(file.fingerprint)
            })
        else { return nil }
        return (try? IndexReader(cache: library.cache, key: key(content: row.content))).flatMap {
            serves($0) ? $0 : nil
        }
    }

    /// Returns the final size in bytes of an index with this many frames.
    private func finalBytes(frames: Int) -> Int64 {
        guard keeping == .sample else { return Int64(frames) * Int64(layout.recordBytes) }
        let sample = frames > 0 ? PatchSample.indices(frames: frames).count : 0
        return Int64(frames) * Int64(layout.frameBytes) + Int64(sample) * Int64(layout.patchBytes)
    }

    /// Returns the estimated seconds; decoding and encoding overlap, so the slower one counts.
    private func estimate(frames: Int, info: RecordingInfo) -> Double {
        let cost = model.cost.frame?.indexTotal ?? 0
        // 10 ms per frame for everything else: much for a small model, little for a large one.
        let encode = Double(frames) * (cost / max(0.85 * model.peak, 1) + 0.01)
        let rate = info.framesPerSecond.map { min(max($0, 1), 240) } ?? 25
        let pixels = Double(max(info.width, 1)) * Double(max(info.height, 1))
        return max(encode, (info.duration ?? 0) * rate * pixels / 150e6)
    }

    /// Minimum bytes per second of a recording; a longer claimed duration is ignored.
    private static let leastBytesPerSecond = 100.0

    /// Checks disk space; returns the expected number of frames, nil if unknown.
    func checkSpace(_ recording: Recording, _ file: RecordingFile, framesDone: Int, keep: PatchKeeping) throws -> Int? {
        let info = try recording.probe(request(), cancellation).info
        // A duration derived from timestamps, or too long for the file's size, refuses nothing: room is then made
        // segment by segment.
        let longest = Double(file.size) / Self.leastBytesPerSecond
        let total = info.durationIsGuessed == true || (info.duration ?? 0) > longest ? nil : frames(info)
        let left = max(0, (total ?? 0) - framesDone)
        let bytes = IndexWriter.bytes(first: framesDone, frames: left, layout: layout, keep: keep)
        let cache = library.cache
        let (free, limit) = (try cache.freeBytes(), try library.cacheLimit())
        let advice =
            "remove indexes, sample fewer frames per second, keep only the patches of a sample, use a cache on a larger "
            + "disk or, if the recording is shorter than it claims, set a maximum duration"
        guard bytes <= limit else {
            throw LongtakeError(
                code: .notEnoughDisk,
                message: "indexing needs \(bytes) bytes for \(counted(left, "frame")), \(cache.path) may hold \(limit) "
                    + "bytes; raise that limit, \(advice)", remedy: .indexSize)
        }
        // Space that the limit forces other indexes to free is available by then.
        let used = bytes <= free ? 0 : try library.usage.used()
        let freed = max(0, min(used, used + bytes - limit))
        guard bytes <= free + freed else {
            throw LongtakeError(
                code: .notEnoughDisk,
                message:
                    "indexing needs \(bytes) bytes for \(counted(left, "frame")), \(cache.path) has \(free) bytes free; "
                    + advice, remedy: .indexSize)
        }
        return total
    }
}
