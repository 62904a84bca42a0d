internal import Checkpoints
internal import Foundation
internal import Models
internal import Store
internal import Synchronization
internal import Tensors

/// The prefix caches on disk, so that the state all questions about the same frames share is computed once.
///
/// Disposable and shared by all processes: a missing or damaged file, or one with other settings, is computed again,
/// and a failed write costs only time.
final class PrefixCacheStore {
    private let cache: CacheDirectory
    private let limit: Int64
    /// Total bytes of the files in the cache, once this process has added them up.
    private var used: Int64?

    /// Prefix caches in the given cache folder.
    ///
    /// - Parameter limit: bytes for all files together; the least recently read are removed first.
    init(_ cache: CacheDirectory, limit: Int64) {
        self.cache = cache
        self.limit = limit
    }

    /// Everything the cached bytes depend on; its JSON is stored in the file.
    struct Key: Codable {
        var version = 1
        let index: String?
        /// Creation time of the index.
        let created: String
        /// Index frame numbers of the first and the last frame of the range.
        let first: Int
        let last: Int
        /// Token IDs up to the image placeholder.
        let head: [Int32]
        /// Index frame numbers of the fusion frames.
        let frames: [Int]
        let precision: String
        let backend: String
        let kernels: String
        /// Type of the language model's keys and values; nil, and not in the file, if it is the precision.
        let keyValues: String?
        /// True for the keys and values of the first positions only; not in the file otherwise.
        var isPartial: Bool?

        private enum CodingKeys: String, CodingKey {
            case version, index, first, last, head, frames, precision, backend, kernels
            case keyValues = "kv"
            case isPartial = "partial"
            case created = "made"
        }

        init(_ context: FusionContext, model: LlavaMini) {
            let compute = model.compute
            let source = context.source
            index = source.recording.index
            created = source.indexCreated
            first = source.frameNumbers.first ?? 0
            last = source.frameNumbers.last ?? 0
            head = context.sharedIDs
            frames = context.frames.map { source.frameNumbers[$0] }
            (precision, backend, kernels) = ("\(compute.precision)", "\(compute.backend)", compute.kernels.name)
            let type = model.language.keyValueType
            keyValues = type == compute.precision ? nil : type.rawValue
        }

        var bytes: [UInt8]? {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            return (try? encoder.encode(self)).map { Array($0) }
        }
    }

    func path(_ key: Key, _ identity: [UInt8]) -> String? {
        key.index.map { cache.derivedPath(indexID: $0, name: String(ContentHash.sha256(identity).prefix(16))) }
    }

    /// Whether a file for `key` exists; its contents are not checked.
    func has(_ key: Key) -> Bool {
        guard let identity = key.bytes, let path = path(key, identity) else { return false }
        return DerivedFile(path: path, identity: identity) != nil
    }

    /// Loads the cache for `key` with `freeRows` rows to append after the vision tokens; nil if missing or damaged.
    func load(_ key: Key, model: LlavaMini, headRows: Int, freeRows: Int) -> PrefixCache? {
        guard let identity = key.bytes, let path = path(key, identity),
            let file = DerivedFile(path: path, identity: identity), file.sectionCount > Section.cache.rawValue,
            let sums: [Float] = array(file, .sums), let squares: [Double] = array(file, .squares),
            let counts: [Int64] = array(file, .counts), let count = counts.first, count > 0, count <= Int64(Int32.max)
        else { return nil }
        let repeats = counts.dropFirst().map { Int(clamping: $0) }
        guard repeats.allSatisfy({ $0 > 0 }) else { return nil }
        var fused: PreFusionCache?
        if file.byteCount(Section.fused.rawValue) > 0 || model.fusion.prefusionLayerCount == 0 {
            guard let memory = file.map(Section.fused.rawValue),
                let cached = PreFusionCache(
                    model, prefixRows: headRows, count: repeats.count, memory: memory.bytes, owner: memory)
            else { return nil }
            fused = cached
        }
        guard
            let cache = keysAndValues(file, from: Section.cache.rawValue, model: model, freeRows: { _ in freeRows })
        else { return nil }
        return PrefixCache(
            head: .init(sums: sums, squares: squares, count: Int(count)), fused: fused, repeats: repeats, cache: cache)
    }

    /// The language model's keys and values in the sections from `first` on; nil if one is damaged or does not fit.
    ///
    /// - Parameter freeRows: number of rows to append, given the number of positions.
    func keysAndValues(
        _ file: DerivedFile, from first: Int, model: LlavaMini, freeRows: (_ positions: Int) -> Int
    ) -> KVCache? {
        guard file.sectionCount > first else { return nil }
        let sections = first..<file.sectionCount
        let (count, rowBytes) = (file.byteCount(first), model.language.keyBytes)
        let positions = count / rowBytes
        let (freeBytes, overflow) = rowBytes.multipliedReportingOverflow(by: freeRows(positions))
        guard !overflow, freeBytes >= 0, positions * rowBytes == count,
            sections.allSatisfy({ file.byteCount($0) == count }),
            case let found = map(file, sections, freeBytes: freeBytes, model.compute.threadPool),
            found.count == sections.count
        else { return nil }
        return model.language.cache(of: found.map(\.bytes), count: positions, owner: Owner(found))
    }

    /// Maps sections on several threads: their checksums are bound by memory, which one thread cannot saturate.
    ///
    /// - Returns: fewer mappings than sections if any section is damaged.
    private func map(
        _ file: DerivedFile, _ sections: Range<Int>, freeBytes: Int, _ workers: ThreadPool
    ) -> [DerivedFile.Mapping] {
        let found = Mutex([DerivedFile.Mapping?](repeating: nil, count: sections.count))
        workers.parallelFor(sections.count) { indices in
            for index in indices {
                let mapping = file.map(sections.lowerBound + index, room: freeBytes)
                found.withLock { $0[index] = mapping }
            }
        }
        return found.withLock { $0.compactMap(\.self) }
    }

    /// Saves `prefix`; does nothing if there is no space or the write fails.
    func save(_ prefix: PrefixCache, _ key: Key) {
        guard let identity = key.bytes, let path = path(key, identity) else { return }
        let counts = [Int64(prefix.head.count)] + (prefix.fused == nil ? [] : prefix.repeats.map { Int64($0) })
        prefix.head.sums.withUnsafeBytes { sums in
            prefix.head.squares.withUnsafeBytes { squares in
                counts.withUnsafeBytes { counts in
                    let none = UnsafeRawBufferPointer(start: nil, count: 0)
                    let sections = [sums, squares, counts, prefix.fused?.bytes ?? none] + prefix.cache.parts
                    let bytes = DerivedFile.size(identity: identity, sections: sections.map(\.count))
                    guard makeRoom(for: Int64(bytes)) else { return }
                    try? DerivedFile.write(path: path, identity: identity, sections: sections)
                }
            }
        }
    }

    /// Makes room for `bytes`; sums the file sizes on first use, and again whenever the limit may be reached.
    func makeRoom(for bytes: Int64) -> Bool {
        if let used, used + bytes <= limit / 2, let free = try? cache.freeBytes(), free / 2 >= bytes {
            self.used = used + bytes
            return true
        }
        guard (try? cache.makeDerivedRoom(for: bytes, limit: limit)) == true else { return false }
        used = (try? cache.derivedBytes()).map { $0 + bytes }
        return true
    }

    /// A file's sections in order; from `cache` on, one section for each layer's keys or values.
    private enum Section: Int {
        case sums, squares, counts, fused, cache
    }

    private final class Owner {
        let mappings: [DerivedFile.Mapping]
        init(_ mappings: [DerivedFile.Mapping]) { self.mappings = mappings }
    }

    private func array<Element: BitwiseCopyable>(_ file: DerivedFile, _ section: Section) -> [Element]? {
        guard let mapping = file.map(section.rawValue) else { return nil }
        return Array(UnsafeRawBufferPointer(mapping.bytes).bindMemory(to: Element.self))
    }
}
