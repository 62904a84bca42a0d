internal import Checkpoints
internal import Glibc
internal import SystemCalls

/// A model in the hub cache.
package struct CachedModel: Sendable {
    /// A commit of which files are there.
    package struct Revision: Sendable {
        /// The commit's hash.
        package let commit: String
        /// The branches and tags that name it here, sorted.
        package let refs: [String]
        /// The snapshot's folder.
        package let path: String
        /// Bytes of its files.
        package let bytes: Int64
        /// The files that loading needs and that are not there; empty if the model is complete.
        package let missing: [String]
    }

    /// "org/name".
    package let name: String
    /// The model's folder in the cache.
    package let path: String
    /// Bytes of all blobs.
    package let bytes: Int64
    /// Bytes of interrupted downloads.
    package let incompleteBytes: Int64
    /// The commits, sorted.
    package let revisions: [Revision]

    /// All models in the cache, sorted by name.
    package static func all(_ settings: HubSettings) -> [CachedModel] {
        names(in: settings.cache).filter { $0.hasPrefix("models--") }.sorted().compactMap {
            model(folder: $0, settings)
        }
    }

    /// One model; nil if the cache has nothing of it.
    package static func named(_ name: HubName, _ settings: HubSettings) -> CachedModel? {
        model(folder: name.folder, settings)
    }

    private static func model(folder: String, _ settings: HubSettings) -> CachedModel? {
        let path = settings.cache + "/" + folder
        guard FolderPath.isFolder(path) else { return nil }
        let name = folder.dropFirst("models--".count).split(separator: "--").joined(separator: "/")
        var bytes: Int64 = 0, incomplete: Int64 = 0
        for blob in names(in: path + "/blobs") {
            let size = HubCache.size(path + "/blobs/" + blob) ?? 0
            if blob.hasSuffix(".incomplete") { incomplete += size } else { bytes += size }
        }
        let refs = refs(in: path + "/refs", prefix: "")
        let revisions = names(in: path + "/snapshots").filter { HubName.isHash($0, digits: 40) }.sorted().map {
            commit in
            let snapshot = path + "/snapshots/" + commit
            return Revision(
                commit: commit, refs: refs.filter { $0.commit == commit }.map(\.name).sorted(), path: snapshot,
                bytes: files(in: snapshot).reduce(0) { $0 + $1.size },
                missing: missing(in: snapshot, settings: settings))
        }
        return CachedModel(
            name: name, path: path, bytes: bytes, incompleteBytes: incomplete, revisions: revisions)
    }

    // MARK: Finding a model

    /// The snapshot of a name in the cache.
    ///
    /// - Returns: the commit, nil if the cache has not seen the revision; its folder, nil if it has no files.
    package static func folder(of name: HubName, settings: HubSettings) -> (commit: String?, path: String?) {
        let cache = HubCache(root: settings.cache, name: name)
        guard let commit = cache.commit(of: name.revision) else { return (nil, nil) }
        let path = cache.snapshot(commit)
        return (commit, FolderPath.isFolder(path) ? path : nil)
    }

    /// The files of a snapshot with their sizes; links that lead nowhere are left out.
    static func files(in snapshot: String) -> [(path: String, size: Int64)] {
        var files: [(path: String, size: Int64)] = []
        func walk(_ folder: String, depth: Int) {
            for name in names(in: snapshot + "/" + folder).sorted() {
                let path = folder + name
                if let size = HubCache.size(snapshot + "/" + path) {
                    files.append((path, size))
                } else if depth < 8, HubCache.target(of: snapshot + "/" + path) == nil {
                    walk(path + "/", depth: depth + 1)
                }
            }
        }
        walk("", depth: 0)
        return files
    }

    /// The files that loading a snapshot needs and that are not there.
    static func missing(in snapshot: String, settings: HubSettings) -> [String] {
        let paths = Set(files(in: snapshot).map(\.path))
        var missing = missing(in: "", of: snapshot, paths)
        if ModelFiles.isAdapter(paths) {
            missing.removeAll { $0 == "config.json" }
            if let config = try? FolderPath.read(ModelFiles.adapter[0], in: snapshot, limit: 32 << 20),
                case .repository(let name) = ModelFiles.base(config: config)
            {
                let base = folder(of: name, settings: settings).path
                // A base model is not an adapter itself, so this ends.
                missing +=
                    base.map { base in
                        ModelFiles.isAdapter(Set(files(in: base).map(\.path)))
                            ? [] : Self.missing(in: base, settings: settings).map { "\(name)/\($0)" }
                    } ?? ["\(name)"]
            }
        }
        guard let config = try? FolderPath.read("config.json", in: snapshot, limit: 32 << 20) else { return missing }
        switch ModelFiles.tower(config: config, paths: paths) {
        case .none, .elsewhere: break
        case .folder(let folder): missing += Self.missing(in: folder, of: snapshot, paths)
        case .repository(let name):
            guard let path = folder(of: name, settings: settings).path else { return missing + ["\(name)"] }
            missing += Self.missing(in: "", of: path, Set(files(in: path).map(\.path))).map { "\(name)/\($0)" }
        }
        return missing
    }

    private static func missing(in folder: String, of snapshot: String, _ paths: Set<String>) -> [String] {
        var missing = paths.contains(folder + "config.json") ? [] : [folder + "config.json"]
        let (wanted, index) = ModelFiles.wanted(in: folder, of: paths)
        guard wanted.contains(where: { $0.hasSuffix(".safetensors") || $0.hasSuffix(".bin") }) || index != nil else {
            return missing + ["\(folder)\(ModelFiles.weights[0])"]
        }
        if let index, let bytes = try? FolderPath.read(index, in: snapshot, limit: 32 << 20) {
            missing += (ModelFiles.shards(bytes) ?? [index]).map { folder + $0 }.filter { !paths.contains($0) }
        }
        return missing
    }

    private static func refs(in folder: String, prefix: String) -> [(name: String, commit: String)] {
        names(in: folder).flatMap { name -> [(name: String, commit: String)] in
            if FolderPath.isFolder(folder + "/" + name) {
                return prefix.utf8.count < 200 ? refs(in: folder + "/" + name, prefix: prefix + name + "/") : []
            }
            guard let bytes = try? FolderPath.read(name, in: folder, limit: 4096) else { return [] }
            return [(prefix + name, String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self))]
        }
    }

    static func names(in folder: String) -> [String] {
        ((try? SystemCall.names(in: folder)) ?? []).map { String(decoding: $0, as: UTF8.self) }
    }
}
