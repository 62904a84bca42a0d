internal import Foundation
internal import Media
internal import Store

extension Library {
    /// Adds the index to the catalog under the file's path; the row becomes the newest.
    func register(_ content: FileContent, indexID: String, state: IndexState) throws {
        let file = content.file
        var row = Catalog.RecordingRow(
            path: file.displayPath, pathBase64: file.pathBase64, size: file.size, modified: file.modified,
            inode: file.inode, content: content.hash, indexID: indexID, added: Date().formatted(.iso8601),
            state: state.rawValue)
        row.fingerprint = content.fingerprint
        row.checked = content.checked
        try register(row, hasManifest: state != .indexing)
    }

    /// Adds a row to the catalog, with the facts of its index.
    func register(_ row: Catalog.RecordingRow, hasManifest: Bool = true) throws {
        var row = row
        let indexID = row.indexID
        if hasManifest, let stamp = cache.manifestStamp(indexID: indexID),
            let manifest = try? cache.manifest(indexID: indexID), cache.manifestStamp(indexID: indexID) == stamp
        {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            row.stamp = stamp
            row.facts = (try? encoder.encode(IndexFacts(manifest))).map { String(decoding: $0, as: UTF8.self) }
        }
        try catalog.upsert(row)
    }
}
