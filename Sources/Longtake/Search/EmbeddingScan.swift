internal import Store
internal import Synchronization
internal import Tensors

/// Scores a text's embedding against the embeddings of all frames in some indexes.
///
/// All compute threads read segments, 1 MiB per thread at a time; only one score per frame is kept.
struct EmbeddingScan {
    let query: [Float]
    let cache: CacheDirectory
    let kernels: Kernels
    let workers: ThreadPool
    /// The range by index ID, in seconds on the file's timeline, its end not included; an index without one is scored
    /// as a whole.
    var ranges: [String: Range<Double>] = [:]
    var cancellation = Cancellation()

    /// One index's scores.
    struct Scored {
        let manifest: Manifest
        /// One cosine per frame of the index; NaN outside the range.
        var scores: [Float] = []
        /// Why the index has no scores.
        var error: (any Error)?
    }

    /// Most indexes open at a time: each holds a file descriptor.
    private static let openIndexes = 128
    /// Segments per thread between two checks for cancellation.
    private static let segmentsPerThread = 32

    /// Scores every frame of the indexes.
    ///
    /// - Parameter progress: gets the fraction done.
    /// - Throws: `LongtakeError` `interrupted`; a fault of one index is in its `error`.
    func run(_ manifests: [Manifest], progress: (Double) -> Void = { _ in }) throws -> [Scored] {
        let total = max(1, manifests.reduce(0) { $0 + $1.segments.count })
        var done = 0
        var found: [Scored] = []
        for start in stride(from: 0, to: manifests.count, by: Self.openIndexes) {
            let part = manifests[start..<min(start + Self.openIndexes, manifests.count)]
            found += try run(batch: Array(part)) {
                done += $0
                progress(Double(done) / Double(total))
            }
        }
        return found
    }

    /// An open index and the location of its embeddings.
    private struct Opened {
        let scan: IndexScan
        let kind: RecordKind
        /// Indices of the layout's embedding part and, for int8, its scale part.
        let parts: [Int]
    }

    private struct Task {
        /// Index of the opened index in the batch.
        let index: Int
        let segment: Int
    }

    /// The scores of all tasks, filled by several threads.
    private final class Slots: @unchecked Sendable {
        // @unchecked: each thread writes only the scores of the tasks it took, and each task is taken once.
        let scores: UnsafeMutableBufferPointer<[Float]>
        let next = Atomic<Int>(0)
        let errors = Mutex<[Int: (segment: Int, error: any Error)]>([:])

        init(_ count: Int) {
            scores = .allocate(capacity: count)
            scores.initialize(repeating: [])
        }

        deinit {
            scores.deinitialize()
            scores.deallocate()
        }

        /// Keeps the error of the earliest segment, so that the result does not depend on thread order.
        func note(_ error: any Error, _ task: Task) {
            errors.withLock { errors in
                if let known = errors[task.index], known.segment <= task.segment { return }
                errors[task.index] = (task.segment, error)
            }
        }
    }

    private func run(batch: [Manifest], progress: (Int) -> Void) throws -> [Scored] {
        var found = batch.map { Scored(manifest: $0) }
        var opened: [Opened?] = []
        for (index, manifest) in batch.enumerated() {
            do {
                opened.append(try open(manifest))
            } catch {
                found[index].error = error
                opened.append(nil)
            }
        }
        let tasks = opened.enumerated().flatMap { index, opened in
            (0..<(opened?.scan.manifest.segments.count ?? 0)).map { Task(index: index, segment: $0) }
        }
        let slots = Slots(tasks.count)
        let step = Self.segmentsPerThread * workers.threadCount
        for start in stride(from: 0, to: tasks.count, by: step) {
            try cancellation.check()
            let end = min(start + step, tasks.count)
            slots.next.store(start, ordering: .relaxed)
            workers.parallelFor(min(workers.threadCount, end - start)) { threads in
                for _ in threads { work(tasks, until: end, opened, slots) }
            }
            progress(end - start)
        }
        for (task, scores) in zip(tasks, slots.scores) where found[task.index].error == nil {
            found[task.index].scores += scores
        }
        for (index, fault) in slots.errors.withLock({ $0 }) {
            found[index].error = fault.error
            found[index].scores = []
        }
        return found
    }

    private func open(_ manifest: Manifest) throws -> Opened {
        let scan = try IndexScan(cache: cache, indexID: manifest.key.id)
        let layout = scan.manifest.layout
        guard let embedding = EmbeddingParts(in: layout, size: query.count) else {
            throw LongtakeError(
                code: .badRequest, message: "\(manifest.path): its index has no embeddings of \(query.count) values")
        }
        let parts = layout.parts.indices.filter { layout.parts[$0].name.hasPrefix("embedding") }
        // f32 values are read in place, so they must be aligned.
        guard embedding.kind != .f32 || layout.offset(ofPart: parts[0]) % 4 == 0 else {
            throw LongtakeError(
                code: .badRequest, message: "\(manifest.path): the embeddings of its index are misaligned")
        }
        return Opened(scan: scan, kind: embedding.kind, parts: parts)
    }

    /// The work of one thread: takes tasks until all before `end` are taken.
    private func work(_ tasks: [Task], until end: Int, _ opened: [Opened?], _ slots: Slots) {
        var bytes = 0
        var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        defer { buffer.deallocate() }
        let query = Query(self.query, kernels: kernels)
        while true {
            let number = slots.next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard number < end else { return }
            let task = tasks[number]
            guard let index = opened[task.index] else { continue }
            if index.scan.bufferBytes > bytes {
                buffer.deallocate()
                bytes = index.scan.bufferBytes
                buffer = .allocate(byteCount: bytes, alignment: 64)
            }
            do {
                slots.scores[number] = try scores(index, task.segment, buffer, query)
            } catch {
                slots.note(error, task)
            }
        }
    }

    private struct Query {
        let floats: [Float]
        let bytes: ByteVector

        init(_ floats: [Float], kernels: Kernels) {
            self.floats = floats
            bytes = ByteVector(floats, kernels: kernels)
        }
    }

    /// The scores of one segment's frames.
    private func scores(
        _ index: Opened, _ segment: Int, _ buffer: UnsafeMutableRawBufferPointer, _ query: Query
    ) throws -> [Float] {
        let summary = index.scan.manifest.segments[segment]
        let range = ranges[index.scan.manifest.key.id]
        let (from, to) = (range?.lowerBound ?? -.infinity, range?.upperBound ?? .infinity)
        let isWhole = range == nil
        let clock = index.scan.manifest.clock
        if !isWhole {
            let first = clock.fileTime(try index.scan.entry(of: summary.first).gridTime)
            let last = clock.fileTime(try index.scan.entry(of: summary.first + summary.count - 1).gridTime)
            guard first < to, last >= from else { return [Float](repeating: .nan, count: summary.count) }
        }
        // Frames that share a record get its score, and are inside or outside the range by their own times.
        let isShared = summary.reused != nil
        let layout = index.scan.manifest.layout
        var found = [Float](repeating: 0, count: summary.count)
        var sums = [Int32](repeating: 0, count: index.kind == .f32 ? 0 : summary.count)
        let shared = try index.scan.read(segment: segment, parts: index.parts, buffer: buffer) { records in
            let rows = records.base + layout.offset(ofPart: index.parts[0])
            let offset = records.first - summary.first
            found.withUnsafeMutableBufferPointer { found in
                guard let out = found.baseAddress.map({ $0 + offset }) else { return }
                if index.kind == .f32 {
                    kernels.dots(
                        query.floats, rows: rows.assumingMemoryBound(to: Float.self), stride: records.stride / 4,
                        count: records.count, into: out)
                } else {
                    kernels.dots(
                        query.bytes, rows: rows.assumingMemoryBound(to: Int8.self), stride: records.stride,
                        count: records.count, into: &sums)
                    let scales = records.base + layout.offset(ofPart: index.parts[1])
                    for record in 0..<records.count {
                        let bits = scales.loadUnaligned(fromByteOffset: record * records.stride, as: UInt32.self)
                        out[record] =
                            Float(sums[record]) * (Float(bitPattern: UInt32(littleEndian: bits)) * query.bytes.scale)
                    }
                }
                guard !isWhole, !isShared else { return }
                for record in 0..<records.count {
                    let time = clock.fileTime(records.gridTime(record))
                    if time < from || time >= to { out[record] = .nan }
                }
            }
        }
        guard let shared else { return found }
        return zip(shared.records, shared.gridTimes).map { record, gridTime in
            let time = clock.fileTime(gridTime)
            return time < from || time >= to ? .nan : found[record]
        }
    }
}
