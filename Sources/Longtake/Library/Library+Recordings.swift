internal import Foundation
internal import Store

/// One index with all its paths.
private struct Listed {
    let index: String
    let content: String
    let locations: [RecordingLocation]
    let summaries: [RecordingSummary]
}

extension Library {
    /// Returns all indexes, including unfinished ones, once per path where their file is; sorted by name, path and ID.
    ///
    /// Files found missing for the first time are recorded in the catalog, if it can be written.
    package func recordings() throws -> [RecordingSummary] {
        try? noteMissing()
        func order(_ one: RecordingSummary, _ other: RecordingSummary) -> Bool {
            for (left, right) in [(one.name, other.name), (one.path, other.path), (one.index, other.index)] {
                let (left, right) = (Array(left.utf8), Array(right.utf8))
                if left != right { return left.lexicographicallyPrecedes(right) }
            }
            return false
        }
        return try listed().flatMap(\.summaries).sorted(by: order)
    }

    private func listed() throws -> [Listed] {
        let prefixCache = cache.derivedBytesByIndex()
        func sized(_ summary: RecordingSummary) -> RecordingSummary {
            var summary = summary
            summary.prefixCacheBytes = prefixCache[summary.index] ?? 0
            return summary
        }
        var locations = try locations()
        let manifests = Dictionary(
            try cache.indexes().map { ($0.key.id, $0) }, uniquingKeysWith: { first, _ in first })
        let underway = try cache.underway()
        let open = Set(underway.map(\.indexID))
        var all = underway.map { index in
            let manifest = manifests[index.indexID]
            let known = locations.all(of: index.indexID, manifest)
            let location = locations.shown(of: index.indexID, manifest).first
            return Listed(
                index: index.indexID, content: index.key?.content ?? location?.row?.content ?? "", locations: known,
                summaries: [sized(RecordingSummary(index, manifest, location))])
        }
        for manifest in manifests.values where !open.contains(manifest.key.id) {
            let shown = locations.shown(of: manifest.key.id, manifest)
            all.append(
                Listed(
                    index: manifest.key.id, content: manifest.key.content,
                    locations: locations.all(of: manifest.key.id, manifest),
                    summaries: shown.map { sized(RecordingSummary(manifest, $0)) }))
        }
        return all.sorted { $0.index < $1.index }
    }

    /// Returns a finished index at its best path, looking at no other index; the size of its prefix caches is left out.
    ///
    /// - Throws: `StoreError` if it has no manifest that can be read.
    func recording(index: String) throws -> RecordingSummary {
        let manifest = try cache.manifest(indexID: index)
        return RecordingSummary(manifest, try location(of: manifest))
    }

    /// Returns the indexes of a recording by its ID, an ID prefix, a path it was indexed from, or the end of such a
    /// path.
    ///
    /// A path refers to the content indexed from it last; replaced content comes after it.
    ///
    /// - Parameter newest: leave out replaced content.
    /// - Throws: `LongtakeError` `unknown_recording`; `bad_request` for a name that matches several recordings, naming
    ///   them.
    package func recordings(matching name: String, newest: Bool = false) throws -> [RecordingSummary] {
        let all = try listed()
        let ids = Set(try indexes(matching: name).map(\.key.id))
        func isMeant(_ id: String) -> Bool { id == name || name.utf8.count >= 8 && id.hasPrefix(name) }
        let byID = all.filter { one in
            // Unfinished indexes have no manifest yet.
            ids.contains(one.index) || ids.isEmpty && (isMeant(one.index) || isMeant(Self.id(content: one.content)))
        }
        if !byID.isEmpty { return byID.flatMap(\.summaries) }
        guard name != "-" else { throw LongtakeError.unknown(name) }
        let path = InputPath(name).absolute
        let found = try recordings(at: path, all, newest: newest)
        if !found.isEmpty { return found }
        // Matches the end of a path, in whole names.
        let end = [UInt8(ascii: "/")] + Array(name.utf8)
        let fitting = all.filter { one in
            one.summaries.contains { !$0.path.isEmpty && Self.path(of: $0).bytes.suffix(end.count).elementsEqual(end) }
        }
        guard Set(fitting.map(\.content)).count <= 1 else {
            throw Self.ambiguous(name, fitting.flatMap(\.summaries))
        }
        guard !fitting.isEmpty else { throw LongtakeError.unknown(name) }
        return fitting.flatMap(\.summaries)
    }

    /// Returns the shortest names that distinguish all paths in the catalog.
    package func labels() -> PathLabels { PathLabels(((try? catalog.history()) ?? []).map(\.path)) }

    private static func path(of summary: RecordingSummary) -> InputPath {
        let bytes = summary.pathBase64.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
        return bytes.map { InputPath(bytes: $0) } ?? InputPath(summary.path)
    }

    /// Returns what was indexed from a path, newest first.
    private func recordings(at path: InputPath, _ all: [Listed], newest: Bool) throws -> [RecordingSummary] {
        let order = try catalog.rows(path: path.bytes).map(\.indexID)
        func age(_ one: Listed) -> Int { order.firstIndex(of: one.index) ?? order.count }
        let here = all.filter { one in one.locations.contains { $0.path == path } }.sorted { age($0) < age($1) }
        guard let content = here.first?.content else { return [] }
        func summary(_ one: Listed) -> RecordingSummary? {
            one.summaries.first { Self.path(of: $0) == path } ?? one.summaries.first
        }
        let current = here.filter { $0.content == content }.compactMap(summary)
        // A recording that is at another path now no longer belongs to this path.
        let replaced = here.filter { $0.content != content }.compactMap(summary).filter {
            $0.file == .replaced && Self.path(of: $0) == path
        }
        return newest ? current : current + replaced
    }

    static func ambiguous(_ name: String, _ fitting: [RecordingSummary]) -> LongtakeError {
        let shown = fitting.prefix(10).map { "\($0.id) (\($0.path))" }.joined(separator: ", ")
        let more = fitting.count > 10 ? " and \(fitting.count - 10) more" : ""
        return LongtakeError(
            code: .badRequest,
            message: "\(name) matches several recordings: \(shown)\(more); give an ID or a longer path")
    }

    /// Returns recordings whose files are gone or were replaced, and those that cannot be reached now.
    package func missingRecordings() throws -> (missing: [RecordingSummary], unreachable: [RecordingSummary]) {
        try? noteMissing()
        let all = try listed().flatMap(\.summaries).filter(\.isFinished)
        return (all.filter(\.file.isMissing), all.filter { $0.file == .unreachable })
    }

    /// Removes one index and its rows in the catalog.
    ///
    /// - Throws: `StoreError` `not_found`, `locked` while it is being written.
    package func remove(index: String) throws {
        // Remove the index first: an index being written is kept together with its row, and on a full disk SQLite
        // cannot write before space is freed. A row without an index is like one of a recording that was never indexed.
        try cache.remove(indexID: index)
        if try !forget(index, in: catalog), let again = try? Catalog(path: catalogPath) {
            _ = try forget(index, in: again)
        }
    }

    /// Removes an index's rows; returns false if the catalog cannot be written or this run has none on disk.
    private func forget(_ indexID: String, in catalog: Catalog) throws -> Bool {
        do {
            try catalog.remove(indexID: indexID)
            return catalog.path == catalogPath
        } catch let error as StoreError where [.noSpace, .io].contains(error.code) {
            return false
        }
    }

    /// Removes the indexes of a recording and their rows in the catalog; returns what was removed.
    package func remove(_ name: String) throws -> [RecordingSummary] {
        let found = try recordings(matching: name, newest: true)
        for index in Set(found.map(\.index)).sorted() { try remove(index: index) }
        return found
    }
}
