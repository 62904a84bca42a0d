internal import Checkpoints
internal import Glibc
internal import SystemCalls

/// Downloads a model and its vision tower into the hub cache.
package struct ModelPull {
    /// What was downloaded of one model.
    package struct Part: Sendable {
        /// The name, with the revision unless that is "main".
        package let name: String
        /// The commit whose files these are.
        package let commit: String
        /// The snapshot's folder.
        package let path: String
        /// Number of files.
        package let files: Int
        /// Bytes of all files.
        package let bytes: Int64
    }

    /// What was downloaded.
    package struct Report: Sendable {
        /// The model.
        package let model: Part
        /// Its vision tower, or that of its base model, if that is another model.
        package let tower: Part?
        /// The base model of a LoRA adapter.
        package let base: Part?
        /// Bytes that were not in the cache before.
        package let received: Int64
    }

    /// How far a download is.
    package struct Progress: Sendable {
        /// The file being downloaded.
        package let file: String
        /// Bytes in the cache.
        package let done: Int64
        /// Bytes of all files.
        package let total: Int64
        /// Bytes received by this run.
        package let received: Int64
    }

    private let settings: HubSettings
    private let verifies: Bool
    private let check: () throws -> Void
    private let note: (String) -> Void
    private let progress: (Progress) -> Void

    /// - Parameters:
    ///   - verifies: files that are in the cache already are hashed too, and damaged ones downloaded again.
    ///   - check: called often; throws to stop. What is downloaded so far stays.
    ///   - note: gets remarks for people: a retry, a wait for another process.
    package init(
        _ settings: HubSettings, verifies: Bool = false, check: @escaping () throws -> Void,
        note: @escaping (String) -> Void, progress: @escaping (Progress) -> Void
    ) {
        self.settings = settings
        self.verifies = verifies
        self.check = check
        self.note = note
        self.progress = progress
    }

    /// Downloads what is missing.
    ///
    /// - Throws: `HubError`, or what `check` threw.
    package func run(_ name: HubName) throws -> Report {
        if settings.isOffline { return try offline(name) }
        let client = try HubClient(settings, check: check, note: note)
        let counter = Counter(progress)
        let first = try select(name, client, counter)
        var base: (model: Model, tower: Model?)?
        if ModelFiles.isAdapter(Set(first.model.listed.keys)) {
            switch ModelFiles.base(config: try read(ModelFiles.adapter[0], of: first.model, client, counter)) {
            case .repository(let other):
                note("\(name): a LoRA adapter of \(other)")
                base = try select(other, client, counter)
            default: note("\(name): the base model of this LoRA adapter is not on a hub: not downloaded")
            }
        }
        let (model, tower) = (first.model, first.tower ?? base?.tower)
        let models = [model] + [base?.model, tower].compactMap(\.self)
        counter.total = models.reduce(0) { $0 + $1.bytes }
        try checkSpace(models)
        for one in models { for file in one.files { try download(file, of: one, client, counter) } }
        // The names come last, the model's after its tower's: who finds one finds everything.
        for one in models.reversed() {
            for path in one.absent { one.cache.write(absent: path, commit: one.commit) }
            try one.cache.write(ref: one.name.revision, commit: one.commit)
        }
        return Report(model: model.part, tower: tower?.part, base: base?.model.part, received: counter.received)
    }

    /// A model that is being downloaded.
    private struct Model {
        let name: HubName
        let commit: String
        let cache: HubCache
        /// Keeps the model from being removed.
        let lock: CacheLock
        /// All files of the commit, by path.
        let listed: [String: HubFile]
        /// The files to download.
        var files: [HubFile] = []
        /// The files that a loader looks for and the commit lacks.
        var absent: [String] = []
        var bytes: Int64 { files.reduce(0) { $0 + $1.size } }

        var part: Part {
            Part(
                name: name.description, commit: commit, path: cache.snapshot(commit), files: files.count, bytes: bytes)
        }
    }

    /// A model with the files to download, and its vision tower if that is another model.
    private func select(
        _ name: HubName, _ client: HubClient, _ counter: Counter
    ) throws -> (model: Model, tower: Model?) {
        var model = try list(name, client)
        var tower: Model?
        var folders = [""]
        let paths = Set(model.listed.keys)
        // An adapter may leave the config to its base model.
        if !ModelFiles.isAdapter(paths) || paths.contains("config.json") {
            let config = try read("config.json", of: model, client, counter)
            switch ModelFiles.tower(config: config, paths: paths) {
            case .none: break
            case .folder(let folder): folders.append(folder)
            case .repository(let other): tower = try list(other, client)
            case .elsewhere(let path):
                note(
                    "the vision tower that config.json names, \(path), is not the name of a model on a hub: not "
                        + "downloaded")
            }
        }
        for folder in folders { try choose(folder, &model, client, counter) }
        if var chosen = tower {
            try choose("", &chosen, client, counter)
            tower = chosen
        }
        return (model, tower)
    }

    private func list(_ name: HubName, _ client: HubClient) throws -> Model {
        let commit = try client.commit(of: name)
        note("\(name): commit \(commit)")
        let files = try client.files(of: name, commit: commit)
        let cache = HubCache(root: settings.cache, name: name, linksSymbolically: settings.linksSymbolically)
        let lock = try CacheLock(cache.lock(), isShared: true, check: check) {
            note("\(name): another process removes this model: waiting for it")
        }
        try cache.makeRoot()
        cache.removeLeftovers()
        return Model(
            name: name, commit: commit, cache: cache, lock: lock,
            listed: Dictionary(files.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first }))
    }

    /// Adds the files of one folder of a model.
    private func choose(_ folder: String, _ model: inout Model, _ client: HubClient, _ counter: Counter) throws {
        let paths = Set(model.listed.keys)
        var (wanted, index) = ModelFiles.wanted(in: folder, of: paths)
        if let index {
            guard let shards = ModelFiles.shards(try read(index, of: model, client, counter)) else {
                throw HubError(.notAModel, "\(model.name): \(index) is not a list of weight files")
            }
            for shard in shards {
                guard paths.contains(folder + shard) else {
                    throw HubError(.notAModel, "\(model.name): \(index) names \(shard), which the model does not have")
                }
                wanted.append(folder + shard)
            }
        }
        let hasWeights = wanted.contains { $0.hasSuffix(".safetensors") || $0.hasSuffix(".bin") }
        guard hasWeights else {
            throw HubError(
                .notAModel,
                "\(model.name): no weights in \(folder.isEmpty ? "it" : folder) that could be loaded; they must be "
                    + "safetensors or PyTorch files named as in Hugging Face's layout")
        }
        model.files += wanted.compactMap { model.listed[$0] }
        model.absent += ModelFiles.absent(in: folder, of: paths)
    }

    /// Downloads a small file and returns its bytes.
    private func read(_ path: String, of model: Model, _ client: HubClient, _ counter: Counter) throws -> [UInt8] {
        guard let file = model.listed[path] else {
            throw HubError(.notAModel, "\(model.name): has no \(path), which a model needs")
        }
        let limit = 32 << 20
        guard file.size <= limit else {
            throw HubError(.notAModel, "\(model.name): \(path) is \(file.size) bytes, the limit is \(limit)")
        }
        try download(file, of: model, client, counter)
        do {
            if let bytes = try FolderPath.read(path, in: model.cache.snapshot(model.commit), limit: limit) {
                return bytes
            }
        } catch {
            throw HubError(.writeFailed, "\(error)")
        }
        throw HubError(.writeFailed, "\(model.cache.snapshot(model.commit))/\(path): was removed while downloading")
    }

    private func download(_ file: HubFile, of model: Model, _ client: HubClient, _ counter: Counter) throws {
        guard counter.begin(file, of: model.cache) else { return }
        try check()
        let cache = model.cache
        let waiting = { note("another process downloads \(file.path) of \(model.name): waiting for it") }
        let lock = try CacheLock(cache.lock(file.blob), check: check, waiting: waiting)
        try withExtendedLifetime(lock) {
            if try isPresent(file, cache) {
                counter.add(file.size, isReceived: false)
            } else {
                counter.received -= BlobDownload.kept(of: file, in: cache)
                try BlobDownload(
                    client: client, cache: cache, name: model.name, commit: model.commit, file: file, check: check,
                    progress: { counter.add($0, isReceived: true) }
                ).run()
            }
            try cache.link(file, commit: model.commit)
        }
    }

    /// True if the blob is in the cache with the right size and, if asked for, the right bytes; removes a damaged one.
    private func isPresent(_ file: HubFile, _ cache: HubCache) throws -> Bool {
        let path = cache.blob(file.blob)
        guard let size = HubCache.size(path) else {
            // A link that leads nowhere.
            unlink(path)
            return false
        }
        if size == file.size, try !verifies || BlobCheck.isIntact(path, name: file.blob, check: check) { return true }
        note("\(file.path) in the cache is damaged: downloading it again")
        unlink(path)
        return false
    }

    /// - Throws: `HubError` `not_enough_disk` with both sizes.
    private func checkSpace(_ models: [Model]) throws {
        var blobs: Set<String> = []
        var needed: Int64 = 0
        for model in models {
            for file in model.files where blobs.insert(model.cache.blob(file.blob)).inserted {
                guard HubCache.size(model.cache.blob(file.blob)) != file.size else { continue }
                needed += file.size - BlobDownload.kept(of: file, in: model.cache)
            }
        }
        guard needed > 0, let free = models.first?.cache.freeBytes(), needed > free else { return }
        throw HubError(
            .notEnoughDisk,
            "\(settings.cache): the download needs \(needed) bytes, the disk has \(free) free: make room, or set "
                + "HF_HOME to a folder on another disk")
    }

    private func offline(_ name: HubName) throws -> Report {
        let found = CachedModel.folder(of: name, settings: settings)
        guard let commit = found.commit, let path = found.path else {
            throw HubError(
                .notDownloaded, "\(name): not in \(settings.cache), and HF_HUB_OFFLINE is set, so nothing is downloaded"
            )
        }
        let missing = CachedModel.missing(in: path, settings: settings)
        guard missing.isEmpty else {
            throw HubError(
                .notDownloaded,
                "\(name): \(path) is incomplete, and HF_HUB_OFFLINE is set, so nothing is downloaded; missing: "
                    + missing.prefix(10).joined(separator: ", "))
        }
        let files = CachedModel.files(in: path)
        return Report(
            model: Part(
                name: name.description, commit: commit, path: path, files: files.count,
                bytes: files.reduce(0) { $0 + $1.size }),
            tower: nil, base: nil, received: 0)
    }

    /// Counts bytes for the progress.
    private final class Counter {
        var total: Int64 = 0
        var received: Int64 = 0
        private var done: Int64 = 0
        private var file = ""
        private var seen: Set<String> = []
        private let report: (Progress) -> Void

        init(_ report: @escaping (Progress) -> Void) { self.report = report }

        /// False if the file was downloaded before in this run.
        func begin(_ file: HubFile, of cache: HubCache) -> Bool {
            guard seen.insert(cache.folder + "/" + file.path).inserted else { return false }
            self.file = file.path
            return true
        }

        func add(_ bytes: Int64, isReceived: Bool) {
            done += bytes
            if isReceived { received += bytes }
            report(Progress(file: file, done: done, total: max(total, done), received: received))
        }
    }
}
