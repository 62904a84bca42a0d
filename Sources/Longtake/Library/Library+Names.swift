internal import Store

extension Library {
    /// The path that says when and where a recording was made: of several files with its content, always the same one.
    ///
    /// It is the path under which the recording was indexed, while its file is there; else the first, by bytes, of those
    /// whose file is there. With one file it is that one.
    /// - Parameters:
    ///   - path: one of the files, absolute.
    ///   - known: paths of the catalog's rows of the index.
    func decidingPath(of path: InputPath, indexID: String, known: [InputPath]) -> InputPath {
        let others = known.filter { $0 != path }
        guard !others.isEmpty, let manifest = try? cache.manifest(indexID: indexID) else { return path }
        let there = others.filter { FileFingerprint(path: $0.bytes)?.size == manifest.fileSize } + [path]
        let first = InputPath(bytes: manifest.pathBytes)
        if there.contains(first) { return first }
        return there.min { $0.bytes.lexicographicallyPrecedes($1.bytes) } ?? path
    }
}
