internal import Foundation
internal import Glibc
internal import Store

/// Finds the files whose index is known to be there, from the catalog alone.
///
/// A file costs one look at it and one at its index's manifest, however many indexes there are; no index is opened, no model
/// needed.
public final class KnownFiles {
    private let library: Library
    private let options: IndexOptions
    private let settings: IndexSettings
    private let folder: InputPath
    private let decoder = JSONDecoder()
    /// The newest row of each path; nil where the catalog is asked for each path.
    private let rows: [InputPath: Catalog.RecordingRow]?
    /// The prefix cache of each index.
    private lazy var prefixCache = library.cache.derivedBytesByIndex()
    /// Files beyond which reading the whole catalog at once takes less time.
    private static let many = 20

    /// - Parameter files: how many files will be asked about.
    /// - Throws: `LongtakeError` `bad_request` for an option that means nothing; `StoreError`.
    public init(_ library: Library, model: ModelIdentity, options: IndexOptions, files: Int = 1) throws {
        try options.validate()
        self.library = library
        self.options = options
        settings = IndexSettings(options, model)
        folder = InputPath(FileManager.default.currentDirectoryPath)
        rows =
            files < Self.many
            ? nil
            : Dictionary(
                try library.catalog.history().map { (InputPath(bytes: $0.pathBytes), $0) }, uniquingKeysWith: { $1 })
    }

    /// The index of a file that has not changed since, as the options ask for it; nil where a look into the file is needed.
    public func unchanged(_ path: InputPath) -> IndexedRecording? {
        let start = ContinuousClock.now
        guard !options.force, !path.isStandardInput else { return nil }
        let absolute = path.absolute(in: folder)
        guard let now = FileFingerprint(path: absolute.bytes),
            let row = rows.map({ $0[absolute] }) ?? (try? library.catalog.rows(path: absolute.bytes).first),
            row.proves(now), let text = row.facts, let stamp = row.stamp,
            let facts = try? decoder.decode(IndexFacts.self, from: Data(text.utf8)),
            facts.isPossible, facts.settings == settings.signature, options.keep != .patches || facts.hasAllPatches,
            !Manifest.isToBeContinued(state: facts.state, warnings: facts.warnings)
        else { return nil }
        if options.minimumAge > 0 {
            let age = Double(FileFingerprint.now - now.modified) / 1e9
            guard age >= options.minimumAge else { return nil }
        }
        guard library.cache.manifestStamp(indexID: row.indexID) == stamp else { return nil }
        return IndexedRecording(
            action: IndexOutcome.Action.unchanged.rawValue, id: row.id, index: row.indexID, path: row.path,
            frames: facts.frames, framesNow: 0, duration: facts.duration, bytes: facts.bytes,
            prefixCacheBytes: prefixCache[row.indexID] ?? 0, state: facts.state,
            notes: facts.warnings, counters: facts.counters, seconds: (ContinuousClock.now - start).seconds)
    }

    /// The files that are known, by their paths.
    public func unchanged(_ files: [InputPath]) -> [InputPath: IndexedRecording] {
        var found: [InputPath: IndexedRecording] = [:]
        for file in files { found[file] = unchanged(file) }
        return found
    }
}
