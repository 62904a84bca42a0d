internal import Checkpoints
internal import Foundation
internal import Media
internal import Models
package import Store
internal import Tensors

/// Indexes recordings: decode → encode → compress → pre-fuse → append, in memory independent of the length.
///
/// Belongs to the compute thread; decoding has its own process and thread.
package final class Indexer {
    let model: LoadedModel
    let library: Library
    let options: IndexOptions
    let cancellation: Cancellation
    let layout: RecordLayout
    /// Gets the times of computing and of waiting for frames.
    let times: WorkTimes
    private let settings: IndexSettings
    private let encoder: FrameEncoder
    private let changes: ChangeDetector
    private let buffers: RecordBuffers
    /// Frames that are being decoded already.
    private var started: StartedFrames?

    /// Creates an indexer for one model and one set of options.
    ///
    /// - Throws: `LongtakeError` `bad_request` for invalid options.
    package init(
        _ model: LoadedModel, library: Library, options: IndexOptions, cancellation: Cancellation = Cancellation(),
        times: WorkTimes = WorkTimes()
    ) throws {
        try options.validate()
        self.times = times
        self.model = model
        self.library = library
        self.options = options
        self.cancellation = cancellation
        encoder = FrameEncoder(model)
        changes = ChangeDetector(
            options.reuse, images: model.llava.fusion.partCount, side: model.llava.vision.imageSize,
            compute: model.compute)
        settings = IndexSettings(options, ModelIdentity(model))
        let codec = RecordCodec(kind: options.record, model: model.llava)
        layout = try codec.layout()
        buffers = RecordBuffers(codec: codec, layout: layout, compute: model.compute)
    }

    /// Returns the index key of content indexed with these options.
    package func key(content: String) -> IndexKey { settings.key(content: content) }

    /// Returns the request for the frames of a recording, in the size and layout that the model takes.
    func request() -> FrameRequest { Self.request(model, options) }

    static func request(_ model: LoadedModel, _ options: IndexOptions) -> FrameRequest {
        let fusion = model.llava.fusion
        return options.request(
            .model(model.preprocessing, resolutionRatio: fusion.partCount > 1 ? fusion.resolutionRatio : 1))
    }

    /// Which patches the options ask for.
    var keeping: PatchKeeping { options.keep?.keeping ?? .all }

    /// Returns true if an index has everything the options require.
    func serves(_ reader: IndexReader) -> Bool { options.keep != .patches || reader.hasAllPatches }

    /// Another process finished the index between the check for it and taking the lock.
    private struct FinishedMeanwhile: Error {}

    /// Indexes one recording, or returns its existing index.
    ///
    /// - Parameter prefetched: its work ahead; what is not used of it is discarded.
    /// - Throws: `MediaError` for bad input, `StoreError` for the cache, `LongtakeError` if the file keeps changing,
    ///   there is too little space, or the run is cancelled.
    package func index(
        _ recording: Recording, prefetched: RecordingPrefetch? = nil, progress: (IndexProgress) -> Void = { _ in }
    ) throws -> IndexedRecording {
        started = prefetched?.frames
        defer {
            started?.discard()
            started = nil
        }
        do {
            return try attempt(recording, progress: progress)
        } catch let error as LongtakeError where error.code == .unstable {
            // Try once more: the file may just have been replaced by a finished one.
            guard (try? recording.reopen(cancellation)) != nil else { throw error }
            return try attempt(recording, progress: progress)
        } catch let error as MediaError where error.code == .decoderCrashed {
            return try attempt(recording, progress: progress)
        }
    }

    private func attempt(_ recording: Recording, progress: (IndexProgress) -> Void) throws -> IndexedRecording {
        let clock = ContinuousClock()
        let start = clock.now
        let content = try times.waiting {
            try options.checkAge(recording.open(cancellation))
            return try recording.hashed(library.catalog, force: options.force, cancellation)
        }
        let end = clock.now + .seconds(options.lockWait)
        while true {
            do {
                return try index(recording, content, start: start, progress: progress)
            } catch is FinishedMeanwhile {
                continue
            } catch let error as StoreError where error.code == .locked && clock.now < end {
                // Another process has the lock; its index may be complete when the lock is released.
                Thread.sleep(forTimeInterval: 0.1)
                try cancellation.check()
            }
        }
    }

    private func index(
        _ recording: Recording, _ content: FileContent, start: ContinuousClock.Instant,
        progress: (IndexProgress) -> Void
    ) throws -> IndexedRecording {
        let key = key(content: content.hash)
        var (lacksPatches, keep) = (false, keeping)
        let existing = try existingIndex(key)
        if !options.force, let existing {
            if serves(existing), !existing.manifest.isToBeContinued {
                library.cache.tidy(indexID: key.id)
                var notes: [String] = []
                let manifest = try updatingOrigin(of: existing.manifest, recording) { notes.append($0) }
                try register(content, manifest)
                return result(.unchanged, manifest, content, framesNow: 0, start: start, notes: notes)
            }
            lacksPatches = !serves(existing)
            // An index that ended early continues with the patches it started with.
            if options.keep == nil, existing.manifest.patches.kept == .sample { keep = .sample }
        }
        // The old index is kept until the new one is complete.
        let previous = options.force || lacksPatches ? try library.cache.setAside(indexID: key.id) : nil
        let (manifest, resumed): (Manifest, Int)
        do {
            (manifest, resumed) = try write(
                recording, content, key, keep, start: start, origin: existing?.manifest.origin,
                replaces: previous == nil ? nil : existing?.manifest.frames ?? 0, progress: progress)
        } catch {
            try previous?.restore()
            throw error
        }
        try previous?.drop()
        try register(content, manifest)
        return result(
            resumed > 0 ? .resumed : .new, manifest, content, framesNow: manifest.frames - resumed, start: start)
    }

    private func result(
        _ action: IndexedRecording.Action, _ manifest: Manifest, _ content: FileContent, framesNow: Int,
        start: ContinuousClock.Instant, notes: [String] = []
    ) -> IndexedRecording {
        IndexedRecording(
            action: action, id: Library.id(content: content.hash), index: manifest.key.id,
            path: content.file.displayPath, frames: manifest.frames, framesNow: framesNow,
            duration: manifest.duration, framesReused: manifest.framesReused, bytes: manifest.bytes,
            state: manifest.indexState, notes: manifest.warnings + notes, counters: manifest.counters,
            seconds: (ContinuousClock.now - start).seconds, camera: manifest.origin?.camera,
            clock: manifest.recorded)
    }

    /// Writes the index; returns its manifest and the number of frames that earlier runs had sealed.
    ///
    /// - Parameters:
    ///   - origin: what the existing index knows of when and where the recording was made.
    ///   - replaces: number of frames of the old index, kept until the new one is complete; nil without one.
    private func write(
        _ recording: Recording, _ content: FileContent, _ key: IndexKey, _ keep: PatchKeeping,
        start: ContinuousClock.Instant, origin: RecordingOrigin?, replaces: Int?, progress: (IndexProgress) -> Void
    ) throws -> (Manifest, resumed: Int) {
        let file = content.file
        let writer = try IndexWriter(cache: library.cache, key: key, layout: layout, keep: keep)
        if replaces == nil, let reader = try? IndexReader(cache: library.cache, key: key), serves(reader),
            !reader.manifest.isToBeContinued
        {
            throw FinishedMeanwhile()
        }
        let resumed = writer.framesDone
        // An unfinished index has no manifest, so the catalog stores its path.
        try library.register(content, indexID: key.id, state: .indexing)
        var decoded: DecodeResult
        do {
            let total = try times.waiting {
                try checkSpace(recording, file, framesDone: resumed, keep: keep)
            }
            let budget = CacheBudget(cache: library.cache, limit: try library.cacheLimit(), usage: library.usage)
            let layout = layout
            writer.beforeSegment = { first, frames in
                let count = min(frames, total.map { max(1, $0 - first) } ?? frames)
                try budget.makeRoom(
                    for: IndexWriter.bytes(first: first, frames: count, layout: layout, keep: keep), indexID: key.id)
            }
            // What is sealed under a content hash must have been read from that content.
            writer.beforeSeal = { try content.check() }
            decoded = try encode(file, into: writer, start: start, progress: progress)
            if decoded.endedByWorker, !cancellation.isCancelled {
                // The worker may have been killed or storage may have hung: retry once from there.
                do {
                    decoded = try encode(file, into: writer, start: start, progress: progress)
                } catch is MediaError {
                    // No further frame was decoded: what exists is kept as partial.
                }
            }
            try content.check()
        } catch let error as LongtakeError where error.code == .interrupted {
            throw try stopped(writer, key, replaces: replaces) { .interrupted(file.displayPath, $0, kept: $1) }
        } catch let error as LongtakeError where error.code == .timeIsOver {
            throw try stopped(writer, key, replaces: replaces) { .timeIsOver(file.displayPath, $0, kept: $1) }
        } catch {
            writer.discard()
            if (error as? LongtakeError)?.code == .unstable { try? library.cache.remove(indexID: key.id) }
            throw error
        }
        var manifest: Manifest?
        let found = OriginFinder(options.clock).origin(
            of: recording.path.absolute, dates: decoded.info.dates ?? [:], previous: origin)
        try writer.finish { contents in
            var made = self.manifest(file, key, decoded, contents)
            made.origin = found
            manifest = made
            return made
        }
        guard let manifest else { throw LongtakeError(code: .badRequest, message: "no manifest was written") }
        return (manifest, resumed)
    }

    /// Seals the frames of a run that was stopped; returns the error that says what is kept.
    private func stopped(
        _ writer: IndexWriter, _ key: IndexKey, replaces: Int?, _ error: (String, Failure.Kept) -> LongtakeError
    ) throws -> LongtakeError {
        let id = Library.id(content: key.content)
        if let replaces {
            return error("the existing index is unchanged", .init(id: id, index: key.id, frames: replaces))
        }
        let frames = try writer.suspend()
        return error(
            "\(counted(frames, "frame is", "frames are")) kept; the next run continues from there",
            .init(id: id, index: key.id, frames: frames))
    }

    /// Returns the existing index; nil if there is none that can be read.
    ///
    /// - Throws: `StoreError` `newer_format`: an index of a newer program is never overwritten.
    private func existingIndex(_ key: IndexKey) throws -> IndexReader? {
        do {
            return try IndexReader(cache: library.cache, key: key)
        } catch let error as StoreError where error.code == .newerFormat {
            throw error
        } catch {
            return nil
        }
    }

    /// Decodes and encodes the frames after those that `writer` has.
    ///
    /// - Parameter end: the frame to stop before; nil: to the end of the recording.
    func encode(
        _ file: RecordingFile, into writer: IndexWriter, end: Int? = nil, start begin: ContinuousClock.Instant,
        progress: (IndexProgress) -> Void
    ) throws -> DecodeResult {
        var request = request()
        if let end { request.maxFrames = min(end, request.maxFrames) }
        let (first, segment) = (writer.nextFrame, IndexWriter.framesPerSegment)
        // Which frames changed follows from the frames since the start of the segment: those that are indexed are
        // compared again, but not encoded.
        let indexed = options.reuse.makesReferences ? try writer.unfinishedSegment() : []
        let start = first - indexed.count
        request.firstIndex = start
        changes.reset()
        var done = start
        // Batches start where segments do: a run that resumes after a sealed segment computes the same batches.
        let limit = { [encoder, options] in
            let inSegment = done % segment
            // Every run seals at least one segment; otherwise a run with too little time would never make progress.
            if inSegment == 0, done > first, options.isOver { throw LongtakeError.timeIsOver(file.displayPath, "") }
            return min(encoder.batchSize - inSegment % encoder.batchSize, segment - inSegment)
        }
        return try FrameBatches.forEach(
            of: file, request, size: encoder.batchSize, cancellation, limit: limit, started: started, times: times
        ) { frames, info in
            let known = frames.prefix { $0.index < first }
            for frame in known { changes.follow(frame.rgb, isNew: indexed[frame.index - start]) }
            let new = frames[known.endIndex...]
            done += frames.count
            guard !new.isEmpty else { return }
            if done - new.count == first, let pixels = changes.lastEncoded, !indexed.isEmpty {
                // The frames that follow may have the outputs of this one, which an earlier run encoded.
                var last = Frame()
                last.rgb = pixels
                try encoder.encode([last]) { _, _ in }
            }
            try encoder.encode(new, isNew: { changes.isNew($0.rgb, isFirst: $0.index % segment == 0) }) {
                frame, encoded in
                let entry = FrameEntry(
                    index: UInt32(clamping: frame.index), gridTime: frame.gridTime, pts: frame.pts,
                    ptsSeconds: frame.ptsSeconds)
                let parts = buffers.encode(encoded)
                if encoded.isReused, options.reuse.makesReferences {
                    try writer.append(reference: entry, parts: parts)
                } else {
                    try writer.append(entry, parts: parts)
                }
            }
            progress(
                IndexProgress(
                    frames: done, framesTotal: frameCount(info), framesNow: done - first,
                    seconds: (ContinuousClock.now - begin).seconds, frameSeconds: 1 / options.framesPerSecond))
        }
    }

    func manifest(
        _ file: RecordingFile, _ key: IndexKey, _ decoded: DecodeResult, _ contents: IndexContents
    ) -> Manifest {
        let name = file.displayPath.split(separator: "/").last.map(String.init) ?? "standard input"
        var warnings = decoded.notes.map { "\($0.code): \($0.message)" }
        if decoded.status == .partial {
            func tenths(_ seconds: Double) -> Double { (seconds * 10).rounded() / 10 }
            let whole = decoded.info.duration.map { "\(tenths($0)) s" } ?? "the recording"
            warnings.append("partial: the index covers 0 to \(tenths(decoded.coveredSeconds)) s of \(whole)")
        }
        return Manifest(
            key: key, layout: layout, name: name, path: file.displayPath, pathBase64: file.pathBase64,
            fileSize: file.size, modified: file.modified, inode: file.inode, timeBase: decoded.info.timeBase,
            contents: contents, state: decoded.status.rawValue, warnings: warnings,
            counters: decoded.counters.dictionary, duration: decoded.coveredSeconds, start: decoded.info.fileStart,
            changed: file.changed, created: Date().formatted(.iso8601), modelName: model.name)
    }

    private func register(_ content: FileContent, _ manifest: Manifest) throws {
        try library.register(content, indexID: manifest.key.id, state: manifest.indexState)
    }
}

extension DecodeResult {
    /// Codes of events that ended reading early without proving a fault of the recording.
    static let workerCodes: Set<String> = ["decoder_crashed", "decoder_stuck", "worker", "read_error"]

    var endedByWorker: Bool { notes.contains { Self.workerCodes.contains($0.code) } }
}

extension Manifest {
    /// True for an index that the next run continues instead of leaving it unchanged.
    var isToBeContinued: Bool { Self.isToBeContinued(state: indexState, warnings: warnings) }

    static func isToBeContinued(state: IndexState, warnings: [String]) -> Bool {
        guard state == .partial else { return false }
        let codes = DecodeResult.workerCodes.union([Manifest.repaired])
        return warnings.contains { warning in codes.contains { warning.hasPrefix($0 + ": ") } }
    }
}
