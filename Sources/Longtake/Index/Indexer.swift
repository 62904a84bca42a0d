internal import Checkpoints
internal import Foundation
package import Media
internal import Models
package import Store
internal import Tensors

/// Indexes recordings: decode → encode → compress → pre-fuse → append, in memory independent of the length.
///
/// Belongs to the compute thread; decoding has its own process and thread.
package final class Indexer {
    private let loaded: LoadedModel
    private let library: Library
    private let options: IndexOptions
    private let cancellation: Cancellation
    private let settings: IndexSettings
    private let encoder: FrameEncoder
    private let codec: RecordCodec
    private let buffers: RecordBuffers
    private let layout: RecordLayout
    private let probes: ProbeMemory

    /// Creates an indexer for one model and one set of options.
    ///
    /// - Throws: `LongtakeError` `bad_request` for invalid options.
    package convenience init(
        _ model: LoadedModel, library: Library, options: IndexOptions, cancellation: Cancellation = Cancellation()
    ) throws {
        try self.init(model, library: library, options: options, probes: ProbeMemory(), cancellation: cancellation)
    }

    /// Creates an indexer.
    ///
    /// - Parameter probes: results of earlier probes of files.
    init(
        _ model: LoadedModel, library: Library, options: IndexOptions, probes: ProbeMemory, cancellation: Cancellation
    ) throws {
        self.probes = probes
        try options.validate()
        loaded = model
        self.library = library
        self.options = options
        self.cancellation = cancellation
        encoder = FrameEncoder(model)
        settings = IndexSettings(options, ModelIdentity(model))
        codec = RecordCodec(kind: options.record, model: model.llava)
        layout = try codec.layout()
        buffers = RecordBuffers(codec: codec, layout: layout, compute: model.compute)
    }

    /// Returns the index key of content indexed with these options.
    package func key(content: String) -> IndexKey { settings.key(content: content) }

    func request() -> FrameRequest {
        let fusion = loaded.llava.fusion
        return options.request(
            .model(loaded.preprocessing, resolutionRatio: fusion.partCount > 1 ? fusion.resolutionRatio : 1))
    }

    /// Returns what indexing a file would cost.
    ///
    /// - Parameters:
    ///   - sizes: measure the cache's size, which visits every file in it.
    ///   - strict: throw the errors that `index` would throw.
    package func plan(_ file: RecordingFile, sizes: Bool = true, strict: Bool = false) throws -> IndexPlan {
        let known = try index(of: file, forSure: false)
        if strict, known == nil {
            try checkAge(file)
            _ = try checkSpace(file, framesDone: 0, keep: keeping)
        }
        let probe = try probe(file)
        let frames = known?.manifest.frames ?? frames(probe.info)
        var plan = IndexPlan(
            path: file.displayPath, info: probe.info, frames: frames,
            bytes: known?.manifest.bytes ?? frames.map { finalBytes(frames: $0) },
            bytesPerFrame: keeping == .all ? layout.recordBytes : layout.frameBytes,
            freeBytes: try library.cache.freeBytes(), cacheBytes: sizes ? try library.usage.used() : nil,
            cacheMaxBytes: try library.cacheLimit(remember: false), notes: probe.notes,
            estimatedSeconds: frames.map { estimate(frames: $0, info: probe.info) }, indexed: known != nil)
        plan.prefixCacheBytes = known.map { library.cache.derivedBytes(indexID: $0.manifest.key.id) }
        return plan
    }

    private func probe(_ file: RecordingFile) throws -> DecodeResult {
        do {
            return try probes.result(of: file, request()) {
                try FrameStream.probe(file, request: $0) { [cancellation] in cancellation.isCancelled }
            }
        } catch {
            try cancellation.check()
            throw error
        }
    }

    /// Returns the number of frames for the container's duration; nil if it has none.
    private func frames(_ info: RecordingInfo) -> Int? {
        info.duration.map {
            min(
                options.maxFrames,
                Int(saturating: (min($0, options.maxDuration) * options.framesPerSecond).rounded(.up)))
        }
    }

    /// Returns true if the catalog has an index of this exact file with these options.
    func isIndexed(_ file: RecordingFile) throws -> Bool { try index(of: file, forSure: true) != nil }

    /// Returns the index of this exact file with these options.
    ///
    /// - Parameter forSure: false for a plan, which does not read files indexed within 2 s of their last change.
    private func index(of file: RecordingFile, forSure: Bool) throws -> IndexReader? {
        guard !options.force else { return nil }
        let rows = try library.catalog.rows(path: file.path)
        guard
            let row = rows.first(where: {
                forSure ? $0.proves(file.fingerprint) : $0.fingerprint.equals(file.fingerprint)
            })
        else { return nil }
        return (try? IndexReader(cache: library.cache, key: key(content: row.content))).flatMap {
            serves($0) ? $0 : nil
        }
    }

    /// Returns true if an index has everything the options require.
    private func serves(_ reader: IndexReader) -> Bool { options.keep != .patches || reader.hasAllPatches }

    private var keeping: PatchKeeping { options.keep?.keeping ?? .all }

    /// Another process finished the index between the check for it and taking the lock.
    private struct FinishedMeanwhile: Error {}

    /// Returns the final size in bytes of an index with this many frames.
    private func finalBytes(frames: Int) -> Int64 {
        guard keeping == .sample else { return Int64(frames) * Int64(layout.recordBytes) }
        let sample = frames > 0 ? PatchSample.indices(frames: frames).count : 0
        return Int64(frames) * Int64(layout.frameBytes) + Int64(sample) * Int64(layout.patchBytes)
    }

    /// Returns the estimated seconds; decoding and encoding overlap, so the slower one counts.
    private func estimate(frames: Int, info: RecordingInfo) -> Double {
        let cost = loaded.cost.frame?.indexTotal ?? 0
        // 10 ms per frame for everything else: much for a small model, little for a large one.
        let encode = Double(frames) * (cost / max(0.85 * loaded.peak, 1) + 0.01)
        let rate = info.framesPerSecond.map { min(max($0, 1), 240) } ?? 25
        let pixels = Double(max(info.width, 1)) * Double(max(info.height, 1))
        return max(encode, (info.duration ?? 0) * rate * pixels / 150e6)
    }

    /// Minimum bytes per second of a recording; a longer claimed duration is ignored.
    private static let leastBytesPerSecond = 100.0

    /// Checks disk space; returns the expected number of frames, nil if unknown.
    private func checkSpace(_ file: RecordingFile, framesDone: Int, keep: PatchKeeping) throws -> Int? {
        let info = try probe(file).info
        // A duration derived from timestamps, or too long for the file's size, refuses nothing: room is then made
        // segment by segment.
        let holds = Double(file.size) / Self.leastBytesPerSecond
        let total = info.durationIsGuessed == true || (info.duration ?? 0) > holds ? nil : frames(info)
        let left = max(0, (total ?? 0) - framesDone)
        let bytes = IndexWriter.bytes(
            first: framesDone, frames: left, layout: layout, keep: keep)
        let cache = library.cache
        let (free, limit) = (try cache.freeBytes(), try library.cacheLimit())
        let advice =
            "remove indexes, sample fewer frames per second, keep only the patches of a sample, use a cache on a larger disk "
            + "or, if the recording is shorter than it claims, set a maximum duration"
        guard bytes <= limit else {
            throw LongtakeError(
                code: .notEnoughDisk,
                message: "indexing needs \(bytes) bytes for \(counted(left, "frame")), \(cache.path) may hold \(limit) "
                    + "bytes; raise that limit, \(advice)", remedy: .indexSize)
        }
        // Space that the limit forces other indexes to free is available by then.
        let used = bytes <= free ? 0 : try library.usage.used()
        let given = max(0, min(used, used + bytes - limit))
        guard bytes <= free + given else {
            throw LongtakeError(
                code: .notEnoughDisk,
                message:
                    "indexing needs \(bytes) bytes for \(counted(left, "frame")), \(cache.path) has \(free) bytes free; "
                    + advice, remedy: .indexSize)
        }
        return total
    }

    /// Indexes one recording, or returns its existing index.
    ///
    /// - Throws: `MediaError` for bad input, `StoreError` for the cache, `LongtakeError` if the file keeps changing,
    ///   there is too little space, or the run is cancelled.
    package func index(_ file: RecordingFile, progress: (IndexProgress) -> Void = { _ in }) throws -> IndexOutcome {
        do {
            return try attempt(file, progress: progress)
        } catch let error as LongtakeError where error.code == .unstable {
            // Try once more: the file may just have been replaced by a finished one.
            guard let again = try? RecordingFile(path: file.path) else { throw error }
            return try attempt(again, progress: progress)
        } catch let error as MediaError where error.code == .decoderCrashed {
            return try attempt(file, progress: progress)
        }
    }

    private func checkAge(_ file: RecordingFile) throws {
        guard options.minimumAge > 0 else { return }
        let age = Date().timeIntervalSince1970 - Double(file.modified) / 1e9
        if age >= 0, age < options.minimumAge {
            throw LongtakeError.growing(file.displayPath, age: age, options.minimumAge)
        }
    }

    private func attempt(_ file: RecordingFile, progress: (IndexProgress) -> Void) throws -> IndexOutcome {
        let clock = ContinuousClock()
        let start = clock.now
        try checkAge(file)
        let content = try FileContent(file, library.catalog, force: options.force, cancellation)
        let end = clock.now + .seconds(options.lockWait)
        while true {
            do {
                return try make(content, start: start, progress: progress)
            } catch is FinishedMeanwhile {
                continue
            } catch let error as StoreError where error.code == .locked && clock.now < end {
                // Another process has the lock; its index may be complete when the lock is released.
                Thread.sleep(forTimeInterval: 0.1)
                try cancellation.check()
            }
        }
    }

    private func make(
        _ content: FileContent, start: ContinuousClock.Instant, progress: (IndexProgress) -> Void
    ) throws -> IndexOutcome {
        let clock = ContinuousClock()
        let key = key(content: content.hash)
        var (lacksPatches, keep) = (false, keeping)
        let known = try readable(key)
        if !options.force, let reader = known {
            if serves(reader), !reader.manifest.isToBeContinued {
                library.cache.tidy(indexID: key.id)
                try register(content, reader.manifest)
                return IndexOutcome(
                    action: .unchanged, id: Library.id(content: content.hash), manifest: reader.manifest, notes: [],
                    seconds: (clock.now - start).seconds, framesNow: 0)
            }
            lacksPatches = !serves(reader)
            // An index that ended early continues with the patches it started with.
            if options.keep == nil, reader.manifest.patches.kept == .sample { keep = .sample }
        }
        // The old index is kept until the new one is complete.
        let previous = options.force || lacksPatches ? try library.cache.setAside(indexID: key.id) : nil
        let made: (manifest: Manifest, result: DecodeResult, resumed: Int)
        do {
            made = try write(
                content, key, keep, start: start, replaces: previous == nil ? nil : known?.manifest.frames ?? 0,
                progress: progress)
        } catch {
            try previous?.restore()
            throw error
        }
        try previous?.drop()
        let (manifest, result, resumed) = made
        try register(content, manifest)
        return IndexOutcome(
            action: resumed > 0 ? .resumed : .new, id: Library.id(content: content.hash), manifest: manifest,
            notes: result.notes, seconds: (clock.now - start).seconds, framesNow: manifest.frames - resumed)
    }

    private func kept(_ key: IndexKey, frames: Int) -> Failure.Kept {
        .init(id: Library.id(content: key.content), index: key.id, frames: frames)
    }

    /// Writes the index.
    ///
    /// - Parameter replaces: number of frames of the old index, kept until the new one is complete; nil without one.
    private func write(
        _ content: FileContent, _ key: IndexKey, _ keep: PatchKeeping, start: ContinuousClock.Instant, replaces: Int?,
        progress: (IndexProgress) -> Void
    ) throws -> (Manifest, DecodeResult, resumed: Int) {
        let file = content.file
        let writer = try IndexWriter(
            cache: library.cache, key: key, layout: layout, keep: keep)
        if replaces == nil, let reader = try? IndexReader(cache: library.cache, key: key), serves(reader),
            !reader.manifest.isToBeContinued
        {
            throw FinishedMeanwhile()
        }
        let resumed = writer.framesDone
        // An unfinished index has no manifest, so the catalog stores its path.
        try library.register(content, indexID: key.id, state: Library.indexing)
        var result: DecodeResult
        do {
            let total = try checkSpace(file, framesDone: resumed, keep: keep)
            let budget = CacheBudget(cache: library.cache, limit: try library.cacheLimit(), usage: library.usage)
            let layout = layout
            writer.beforeSegment = { first, frames in
                let count = min(frames, total.map { max(1, $0 - first) } ?? frames)
                try budget.makeRoom(
                    for: IndexWriter.bytes(first: first, frames: count, layout: layout, keep: keep), indexID: key.id)
            }
            // What is sealed under a content hash must have been read from that content.
            writer.beforeSeal = { try content.check() }
            result = try encode(file, into: writer, start: start, progress: progress)
            if result.endedByWorker, !cancellation.isCancelled {
                // The worker may have been killed or storage may have hung: retry once from there.
                do {
                    result = try encode(file, into: writer, start: start, progress: progress)
                } catch is MediaError {
                    // No further frame was decoded: what exists is kept as partial.
                }
            }
            try content.check()
        } catch let error as LongtakeError where error.code == .interrupted {
            if let replaces {
                throw LongtakeError.interrupted(
                    file.displayPath, "the index there was stays as it is", kept: kept(key, frames: replaces))
            }
            let frames = try writer.suspend()
            throw LongtakeError.interrupted(
                file.displayPath,
                "\(counted(frames, "frame is", "frames are")) kept, the next run goes on from there",
                kept: kept(key, frames: frames))
        } catch let error as LongtakeError where error.code == .timeIsOver {
            if let replaces {
                throw LongtakeError.timeIsOver(
                    file.displayPath, "the index there was stays as it is", kept: kept(key, frames: replaces))
            }
            let frames = try writer.suspend()
            throw LongtakeError.timeIsOver(
                file.displayPath,
                "\(counted(frames, "frame is", "frames are")) kept, the next run goes on from there",
                kept: kept(key, frames: frames))
        } catch {
            writer.discard()
            if (error as? LongtakeError)?.code == .unstable { try? library.cache.remove(indexID: key.id) }
            throw error
        }
        var manifest: Manifest?
        try writer.finish { contents in
            let made = self.manifest(file, key, result, contents)
            manifest = made
            return made
        }
        guard let manifest else { throw LongtakeError(code: .badRequest, message: "no manifest was written") }
        return (manifest, result, resumed)
    }

    /// Returns the existing index; nil if there is none that can be read.
    ///
    /// - Throws: `StoreError` `newer_format`: an index of a newer program is never overwritten.
    private func readable(_ key: IndexKey) throws -> IndexReader? {
        do {
            return try IndexReader(cache: library.cache, key: key)
        } catch let error as StoreError where error.code == .newerFormat {
            throw error
        } catch {
            return nil
        }
    }

    private func encode(
        _ file: RecordingFile, into writer: IndexWriter, start: ContinuousClock.Instant,
        progress: (IndexProgress) -> Void
    ) throws -> DecodeResult {
        var request = request()
        request.firstIndex = writer.nextFrame
        let stream = try FrameStream(file, request: request)
        let queue = FrameQueue(stream, capacity: 2 * encoder.batchSize, cancellation: cancellation)
        try queue.start()
        defer { queue.stop() }
        var batch = (0..<encoder.batchSize).map { _ in Frame() }
        let first = writer.nextFrame
        var done = first
        while true {
            try cancellation.check()
            // Batches start where segments do: a run that resumes after a sealed segment computes the same batches.
            let place = done % IndexWriter.framesPerSegment
            // Every run seals at least one segment; otherwise a run with too little time would never make progress.
            if place == 0, done > first, options.isOver { throw LongtakeError.timeIsOver(file.displayPath, "") }
            let room = min(
                encoder.batchSize - place % encoder.batchSize, IndexWriter.framesPerSegment - place)
            let count = try queue.take(into: &batch, most: room)
            guard count > 0 else { break }
            let isFirst = { (frame: Frame) in frame.index % IndexWriter.framesPerSegment == 0 }
            try encoder.encode(batch, count: count, isFirst: isFirst) { index, encoded in
                let frame = batch[index]
                let entry = FrameEntry(
                    index: UInt32(clamping: frame.index), gridTime: frame.gridTime, pts: frame.pts,
                    ptsSeconds: frame.ptsSeconds)
                try writer.append(entry, parts: buffers.encode(encoded))
            }
            done += count
            let total = queue.result.info.duration.map {
                Int(saturating: (min($0, options.maxDuration) * options.framesPerSecond).rounded(.up))
            }
            progress(
                IndexProgress(
                    frames: done, framesTotal: total, framesNow: done - first,
                    seconds: (ContinuousClock.now - start).seconds, frameSeconds: 1 / options.framesPerSecond))
        }
        return queue.result
    }

    private func manifest(
        _ file: RecordingFile, _ key: IndexKey, _ result: DecodeResult, _ contents: IndexContents
    ) -> Manifest {
        let name = file.displayPath.split(separator: "/").last.map(String.init) ?? "standard input"
        var warnings = result.notes.map { "\($0.code): \($0.message)" }
        if result.status == .partial {
            func tenths(_ seconds: Double) -> Double { (seconds * 10).rounded() / 10 }
            let whole = result.info.duration.map { "\(tenths($0)) s" } ?? "the recording"
            warnings.append("partial: the index covers 0 to \(tenths(result.coveredSeconds)) s of \(whole)")
        }
        return Manifest(
            key: key, layout: layout, name: name, path: file.displayPath, pathBase64: file.pathBase64,
            fileSize: file.size,
            modified: file.modified, inode: file.inode, timeBase: result.info.timeBase,
            contents: contents,
            state: result.status.rawValue, warnings: warnings,
            counters: result.counters.dictionary, duration: result.coveredSeconds,
            start: result.info.fileStart, changed: file.changed,
            created: Date().formatted(.iso8601), modelName: loaded.name)
    }

    private func register(_ content: FileContent, _ manifest: Manifest) throws {
        try library.register(content, indexID: manifest.key.id, state: manifest.state)
    }
}

extension DecodeResult {
    /// Codes of events that ended reading early without proving a fault of the recording.
    static let workerCodes: Set<String> = ["decoder_crashed", "decoder_stuck", "worker", "read_error"]

    var endedByWorker: Bool { notes.contains { Self.workerCodes.contains($0.code) } }
}

extension Manifest {
    /// True for an index that the next run continues instead of leaving it unchanged.
    var isToBeContinued: Bool { Self.isToBeContinued(state: state, warnings: warnings) }

    static func isToBeContinued(state: String, warnings: [String]) -> Bool {
        guard state == "partial" else { return false }
        let codes = DecodeResult.workerCodes.union([Manifest.repaired])
        return warnings.contains { warning in codes.contains { warning.hasPrefix($0 + ": ") } }
    }
}
