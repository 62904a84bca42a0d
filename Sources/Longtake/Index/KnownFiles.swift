internal import Foundation
internal import Glibc
internal import Store

/// Finds files with an existing index from the catalog alone.
///
/// Cost: one `stat` of the file and one of its index's manifest, however many indexes there are; no index is opened and
/// no model is needed.
package final class KnownFiles {
    private let library: Library
    private let options: IndexOptions
    private let settings: IndexSettings
    private let folder: InputPath
    private let origins: OriginFinder
    private let decoder = JSONDecoder()
    /// The newest row of each path; nil if the catalog is queried per path.
    private let rows: [InputPath: Catalog.RecordingRow]?
    /// Paths by index ID.
    private lazy var paths = Dictionary(
        grouping: (rows ?? [:]).map { ($0.value.indexID, $0.key) }, by: \.0
    ).mapValues { $0.map(\.1) }
    /// Size in bytes of the prefix cache by index ID.
    private lazy var prefixCache = library.cache.derivedBytesByIndex()
    /// Number of files from which reading the whole catalog at once is faster.
    private static let many = 20

    /// Creates a lookup for one model and one set of options.
    ///
    /// - Parameter files: number of files that will be looked up.
    /// - Throws: `LongtakeError` `bad_request` for an invalid option; `StoreError`.
    package init(_ library: Library, model: ModelIdentity, options: IndexOptions, files: Int = 1) throws {
        try options.validate()
        self.library = library
        self.options = options
        settings = IndexSettings(options, model)
        origins = OriginFinder(options.clock)
        folder = InputPath(FileManager.default.currentDirectoryPath)
        rows =
            files < Self.many
            ? nil
            : Dictionary(
                try library.catalog.history().map { (InputPath(bytes: $0.pathBytes), $0) }, uniquingKeysWith: { $1 })
    }

    /// Returns the index of an unchanged file with these options; nil if the file must be opened to know.
    package func unchanged(_ path: InputPath) -> IndexedRecording? {
        let start = ContinuousClock.now
        guard !options.force, !path.isStandardInput else { return nil }
        let absolute = path.absolute(in: folder)
        guard let now = FileFingerprint(path: absolute.bytes),
            let row = rows.map({ $0[absolute] }) ?? (try? library.catalog.rows(path: absolute.bytes).first),
            row.proves(now), let text = row.facts, let stamp = row.stamp,
            let facts = try? decoder.decode(IndexFacts.self, from: Data(text.utf8)),
            facts.isPossible, facts.settings == settings.signature, options.keep != .patches || facts.hasAllPatches,
            !Manifest.isToBeContinued(state: facts.state, warnings: facts.warnings), hasOrigin(facts, row, absolute)
        else { return nil }
        guard options.growing(row.path, modified: now.modified) == nil else { return nil }
        guard library.cache.manifestStamp(indexID: row.indexID) == stamp else { return nil }
        return IndexedRecording(
            action: .unchanged, id: row.id, index: row.indexID, path: row.path,
            frames: facts.frames, framesNow: 0, duration: facts.duration,
            framesReused: facts.framesReused, bytes: facts.bytes,
            prefixCacheBytes: prefixCache[row.indexID] ?? 0, state: facts.state,
            notes: facts.warnings, counters: facts.counters, seconds: (ContinuousClock.now - start).seconds,
            camera: facts.origin?.camera, clock: facts.recorded)
    }

    /// True if the options would change nothing of what is known about a recording's origin.
    private func hasOrigin(_ facts: IndexFacts, _ row: Catalog.RecordingRow, _ path: InputPath) -> Bool {
        guard !options.clock.isEmpty else { return true }
        guard let origin = facts.origin, origin.dates != nil else { return false }
        let known =
            rows == nil
            ? ((try? library.catalog.rows(indexID: row.indexID)) ?? []).map { InputPath(bytes: $0.pathBytes) }
            : paths[row.indexID] ?? []
        let deciding = library.decidingPath(of: path, indexID: row.indexID, known: known)
        return origins.origin(of: deciding, previous: origin) == origin
    }

    /// Returns the indexes of the unchanged files, by path.
    package func unchanged(_ files: [InputPath]) -> [InputPath: IndexedRecording] {
        var found: [InputPath: IndexedRecording] = [:]
        for file in files { found[file] = unchanged(file) }
        return found
    }
}
