internal import Foundation
internal import Glibc
public import Store

/// Where recordings' indexes and the catalog are kept.
public final class Library {
    public let cache: CacheDirectory
    public let catalog: Catalog

    /// Opens both folders, created where missing; the catalog is rebuilt from the indexes when it is new or was damaged.
    ///
    /// - Throws: `StoreError` when a folder cannot be made or others may write to it.
    public init(cachePath: String, dataPath: String) throws {
        do {
            cache = try CacheDirectory(path: cachePath)
        } catch let error as StoreError where error.code == .notFound {
            throw Failure(code: "io", message: error.message, exitCode: Exit.space)
        }
        do {
            try FileManager.default.createDirectory(
                atPath: dataPath, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw Failure(
                code: "io",
                message: "\(dataPath): the folder of the catalogue cannot be made; choose another with --data-dir",
                exitCode: Exit.space)
        }
        let file = dataPath + "/catalog.sqlite"
        do {
            catalog = try Catalog(path: file)
        } catch  where access(dataPath, W_OK) != 0 {
            // A library that can only be read answers questions all the same.
            catalog = try Catalog.inMemory()
        }
        if try catalog.all().isEmpty {
            let manifests = try cache.indexes()
            if !manifests.isEmpty { try catalog.rebuild(from: manifests) }
        }
    }

    /// "vid_" and the first 16 digits of the content's hash.
    public static func id(content: String) -> String { "vid_" + content.prefix(16) }

    /// The indexes of a recording named by its id, the start of one (at least 8 characters), or an index's own id.
    public func indexes(matching name: String) throws -> [Manifest] {
        let all = try cache.indexes()
        let found = all.filter {
            let id = Self.id(content: $0.key.content)
            return id == name || $0.key.id == name
                || (name.count >= 8 && (id.hasPrefix(name) || $0.key.id.hasPrefix(name)))
        }
        guard Set(found.map(\.key.content)).count <= 1 else {
            throw LongtakeError(
                code: .badRequest,
                message: "\(name) fits several recordings; give more of the id (`longtake ls` lists them)")
        }
        return found
    }
}
