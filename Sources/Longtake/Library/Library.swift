internal import Foundation
internal import Glibc
internal import Media
package import Store

/// The folders with the recordings' indexes and the catalog.
package final class Library {
    /// The cache with the indexes.
    package let cache: CacheDirectory
    /// The catalog of recordings.
    package let catalog: Catalog
    /// What was rebuilt or is missing since the library was opened, one sentence each, to be shown to the user.
    package let notes: [String]
    /// Current size of the cache.
    let usage: CacheUsage
    private let cacheMax: CacheSize?
    /// The cache's size limit, and whether it was requested with `remember`.
    private var knownLimit: (bytes: Int64, isRemembered: Bool)?
    /// Path of the catalog file.
    let catalogPath: String

    /// Opens both folders, creating them if missing; rebuilds the catalog if it is new or damaged.
    ///
    /// - Parameter cacheMax: size limit of the cache, in the syntax of `CacheSize`; nil uses the stored limit.
    /// - Parameter forQuestions: work without a catalog if it cannot be created or written; manifests name their
    ///   recordings.
    /// - Throws: `StoreError` if a folder cannot be created or other users can write to it.
    package init(cachePath: String, dataPath: String, cacheMax: String? = nil, forQuestions: Bool = false) throws {
        self.cacheMax = try cacheMax.map(Self.size)
        catalogPath = dataPath + "/catalog.sqlite"
        do {
            cache = try CacheDirectory(path: cachePath)
        } catch let error as StoreError where error.code == .notFound {
            throw Failure(code: "io", message: error.message, exitCode: Exit.space)
        }
        usage = CacheUsage(cache)
        do {
            (catalog, notes) = try Self.catalog(dataPath, cache)
        } catch  where Self.canDoWithout(dataPath, cache, error, forQuestions: forQuestions) {
            catalog = try Catalog.inMemory()
            _ = try Self.refill(catalog, from: cache)
            notes = ["\(Failure(error).message); this run works without the catalog and does not store its answers"]
        }
    }

    private static func catalog(
        _ path: String, _ cache: CacheDirectory
    ) throws -> (catalog: Catalog, notes: [String]) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Failure(
                code: "io",
                message: "\(path): cannot create the catalog's folder; choose another one",
                exitCode: Exit.space, remedy: .dataFolder)
        }
        try CacheDirectory.requirePrivate(path)
        let file = path + "/catalog.sqlite"
        let catalog: Catalog
        do {
            catalog = try Catalog(path: file)
        } catch let error as StoreError where error.code == .io {
            // SQLite does not report why it cannot open one of its files, of which there are at most three.
            throw ResourceLimits.lacksDescriptors(4) ? MediaError.limit("\(file): cannot be opened", EMFILE) : error
        }
        return (catalog, try refill(catalog, from: cache))
    }

    /// Adds the cache's recordings to a catalog that is new or has lost rows; returns notes about that.
    private static func refill(_ catalog: Catalog, from cache: CacheDirectory) throws -> [String] {
        let changed = try catalog.changedRows()
        let isEmpty = try catalog.isEmpty()
        guard changed > 0 || isEmpty || catalog.aside != nil else { return [] }
        let manifests = try cache.indexes()
        if changed > 0 || !manifests.isEmpty { try catalog.rebuild(from: manifests) }
        let added =
            "\(counted(manifests.count, "recording was", "recordings were")) added from the cache"
        if let aside = catalog.aside {
            return [
                "the catalog \(catalog.path) was damaged and is now \(aside); \(added), earlier answers were not"
            ]
        }
        if changed > 0 { return ["the catalog \(catalog.path) had \(changed) damaged entries; \(added)"] }
        let isLost = catalog.isNew && catalog.path != ":memory:" && !manifests.isEmpty
        return isLost ? ["there was no catalog \(catalog.path); \(added)"] : []
    }

    /// Returns true if the library can work without its catalog, as a read-only one can; a newer program's catalog
    /// always throws.
    private static func canDoWithout(
        _ path: String, _ cache: CacheDirectory, _ error: any Error, forQuestions: Bool
    ) -> Bool {
        guard ["io", "no_space"].contains(Failure(error).code) else { return false }
        if access(path, F_OK) == 0, access(path, W_OK) != 0 { return true }
        // Without any index there is nothing to answer from, so the error is reported instead.
        return forQuestions && (try? cache.indexes().isEmpty) == false
    }

    /// Parses a size such as "200G" or "80%": see `CacheSize`.
    ///
    /// - Throws: `LongtakeError` `bad_request` for an invalid size.
    static func size(_ text: String) throws -> CacheSize {
        guard let size = CacheSize(text) else {
            throw LongtakeError(
                code: .badRequest, message: "invalid size \"\(text)\"; use bytes, 200G, 1.5TiB or 80%")
        }
        return size
    }

    /// Returns the cache's size limit in bytes.
    func cacheLimit(remember: Bool = true) throws -> Int64 {
        if let knownLimit, knownLimit.isRemembered || !remember { return knownLimit.bytes }
        let bytes = try cache.limit(cacheMax, remember: remember) { [usage] in try usage.used() }
        knownLimit = (bytes, remember)
        return bytes
    }

    /// Returns the recording ID: "vid_" and the first 16 digits of the content hash.
    package static func id(content: String) -> String { "vid_" + content.prefix(16) }

    /// Opens an index.
    ///
    /// - Throws: `StoreError`; `LongtakeError` `unknown_recording` if it is being removed, which would look like
    ///   damage.
    func reader(_ indexID: String) throws -> IndexReader {
        let directory = cache.path(indexID: indexID)
        do {
            return try IndexReader(directory: directory)
        } catch let error as StoreError where error.code == .damaged && access(directory, F_OK) != 0 {
            throw LongtakeError(code: .unknownRecording, message: "the index \(indexID) was removed just now")
        }
    }

    /// Returns the indexes of a recording, by its ID, an ID prefix of at least 8 characters, or an index ID.
    package func indexes(matching name: String) throws -> [Manifest] {
        let all = try cache.indexes()
        let found = all.filter {
            let id = Self.id(content: $0.key.content)
            return id == name || $0.key.id == name
                || (name.count >= 8 && (id.hasPrefix(name) || $0.key.id.hasPrefix(name)))
        }
        if found.isEmpty, let newer = newerIndexes(beside: all).first(where: { $0.matches(name) }) {
            throw Failure(code: "newer_format", message: newer.description, exitCode: Exit.model)
        }
        guard Set(found.map(\.key.content)).count <= 1 else {
            let recordings = found.map { (Self.id(content: $0.key.content), currentPath(of: $0).description) }
            let shown = recordings.prefix(10).map { "\($0.0) (\($0.1))" }.joined(separator: ", ")
            throw LongtakeError(
                code: .badRequest,
                message: "\(name) matches several recordings: \(shown); give more of the ID", remedy: .list)
        }
        return found
    }
}
