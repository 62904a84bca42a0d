internal import Foundation
internal import Store

/// Chooses the indexes to search: one per recording, of the given model and with embeddings.
struct IndexChoice {
    let library: Library
    /// Hash of the model's files.
    let model: String
    let modelName: String
    /// Dimensions of an embedding.
    let size: Int
    /// What was left out, one sentence each.
    private(set) var notes: [String] = []

    init(library: Library, model: String, modelName: String, size: Int) {
        self.library = library
        self.model = model
        self.modelName = modelName
        self.size = size
    }

    /// The indexes to search.
    ///
    /// - Parameter names: files, folders, IDs or prefixes of IDs; empty: everything.
    /// - Throws: `LongtakeError` `unknown_recording` with the reason if there is nothing to search.
    mutating func choose(_ names: [InputPath]) throws -> [Manifest] {
        let all = try library.cache.indexes()
        let newer = library.newerIndexes(beside: all)
        if let first = newer.first {
            notes.append(
                "\(counted(newer.count, "index", "indexes")) of a newer version left out: \(first)")
        }
        guard !names.isEmpty else {
            if all.isEmpty, let first = newer.first {
                throw Failure(code: "newer_format", message: first.description, exitCode: Exit.model)
            }
            guard !all.isEmpty else { throw unknown("nothing is indexed yet", .index) }
            let best = best(of: all)
            let others = Set(all.map(\.key.content)).count - best.count
            guard !best.isEmpty else { throw unsearchable(all, "what is indexed") }
            if others > 0 {
                notes.append(
                    "\(counted(others, "recording was", "recordings were")) indexed with another model or by an "
                        + "earlier version and left out; index them again to search them")
            }
            return best
        }
        var chosen: [Manifest] = []
        var missing = 0
        let byPath = try indexesByPath(all)
        for name in names {
            if name.isFolder {
                let files = InputWalker([name]).files
                let found = best(of: files.flatMap { byPath[$0.absolute] ?? [] })
                missing += files.count - Set(found.map(\.key.content)).count
                chosen += found
                continue
            }
            var known = name.isStandardInput ? [] : byPath[name.absolute] ?? []
            if known.isEmpty { known = try library.indexes(matching: name.description) }
            if known.isEmpty, !name.exists, !name.isStandardInput {
                known = try library.recordings(matching: name.description, newest: true).compactMap { one in
                    all.first { $0.key.id == one.index }
                }
            }
            guard !known.isEmpty else {
                throw name.exists
                    ? unknown("\(name) is not indexed", .index)
                    : LongtakeError.unknown(name.description)
            }
            let found = best(of: known)
            guard !found.isEmpty else { throw unsearchable(known, name.description) }
            chosen += found
        }
        guard !chosen.isEmpty else {
            throw unknown("no recording in these folders is indexed with \(modelName)", .index)
        }
        if missing > 0 {
            notes.append(
                "\(counted(missing, "file is", "files are")) not indexed with \(modelName) and left out; "
                    + "index them to search them")
        }
        var seen: Set<String> = []
        return chosen.filter { seen.insert($0.key.id).inserted }
    }

    /// Per recording, the searchable index with the most frames, in the given order.
    private func best(of all: [Manifest]) -> [Manifest] {
        var best: [String: Manifest] = [:]
        let usable = all.filter {
            $0.key.model == model && EmbeddingParts(in: $0.layout, size: size) != nil
        }
        for manifest in usable {
            let known = best[manifest.key.content]
            if (known?.frames ?? -1, known?.key.id ?? "") < (manifest.frames, manifest.key.id) {
                best[manifest.key.content] = manifest
            }
        }
        var seen: Set<String> = []
        return usable.filter { best[$0.key.content]?.key.id == $0.key.id && seen.insert($0.key.id).inserted }
    }

    /// The error for indexes of which none can be searched.
    private func unsearchable(_ indexes: [Manifest], _ what: String) -> LongtakeError {
        let names = Set(indexes.filter { $0.key.model != model }.map(\.modelName)).sorted()
        guard names.isEmpty || indexes.contains(where: { $0.key.model == model }) else {
            return unknown(
                "\(what) was indexed with \(names.joined(separator: ", ")), not with \(modelName): index it with this "
                    + "model or choose the other one", .model)
        }
        return unknown(
            "\(what) was indexed by an earlier version, without embeddings: index it again to search it", .index)
    }

    private func unknown(_ message: String, _ remedy: Remedy) -> LongtakeError {
        LongtakeError(code: .unknownRecording, message: message, remedy: remedy)
    }

    /// The indexes by every path of their recording; a path that had several contents keeps the one indexed last.
    private func indexesByPath(_ all: [Manifest]) throws -> [InputPath: [Manifest]] {
        var paths: [InputPath: [Manifest]] = [:]
        let byID = Dictionary(all.map { ($0.key.id, $0) }, uniquingKeysWith: { first, _ in first })
        let rows = try library.catalog.history().reversed()
        for row in rows {
            guard let manifest = byID[row.indexID] else { continue }
            let path = InputPath(bytes: row.pathBytes)
            if let first = paths[path]?.first, first.key.content != manifest.key.content { continue }
            paths[path, default: []].append(manifest)
        }
        let listed = Set(rows.map(\.indexID))
        for manifest in all where !listed.contains(manifest.key.id) {
            paths[InputPath(bytes: manifest.pathBytes), default: []].append(manifest)
        }
        return paths
    }
}
