public import Tensors

/// The weights of a model folder: one file, or the shards that an index names, in the first format that is there.
public final class WeightsFolder: Sendable {
    /// The folder's path as given.
    public let path: String
    /// The format of the files.
    public let format: WeightsFormat
    /// The tensors of all files, by name.
    public let tensors: [String: StoredTensor]
    /// The mapped files and their names in the folder, sorted by name.
    public let files: [(name: String, file: any WeightsFile)]
    /// Unusual but harmless findings, one sentence each.
    public let notes: [String]
    /// The adapter whose changes are in `tensors`, and the base model's folder without them.
    private let adapted: (adapter: LoraAdapter, whole: WeightsFolder)?

    /// Maps all weights in `path`; throws `WeightsError`.
    ///
    /// As in transformers, safetensors take precedence over PyTorch's files, and a single file over an index.
    public convenience init(path: String) throws {
        for format in WeightsFormat.allCases {
            if let single = try FolderPath.resolve(format.singleName, in: path) {
                try self.init(path: path, format: format, single: single)
                return
            }
            if let index = try FolderPath.read(format.indexName, in: path, limit: 64 << 20) {
                try self.init(path: path, format: format, index: index)
                return
            }
        }
        let other = "consolidated.00.pth"
        guard try FolderPath.resolve(other, in: path) == nil else { throw WeightsError.notSafetensors(path, other) }
        throw WeightsError.weightsMissing(path)
    }

    private init(path: String, format: WeightsFormat, single: String) throws {
        let file = try format.open(path: single)
        self.path = path
        self.format = format
        files = [(format.singleName, file)]
        tensors = file.tensors
        notes = []
        adapted = nil
    }

    private init(path: String, format: WeightsFormat, index: [UInt8]) throws {
        self.path = path
        self.format = format
        adapted = nil
        let name = path + "/" + format.indexName
        let map = try Self.weightMap(index, file: name)
        let opened = try Self.open(
            shards: Set(map.shardOf.values).sorted(), format: format, folder: path)
        let byName = Dictionary(uniqueKeysWithValues: opened.map { ($0.name, $0.file) })
        var tensors: [String: StoredTensor] = [:]
        tensors.reserveCapacity(map.shardOf.count)
        for (tensor, shard) in map.shardOf {
            guard let stored = byName[shard]?.tensors[tensor] else {
                throw WeightsError.indexMismatch(name, tensor: tensor, shard: shard)
            }
            tensors[tensor] = stored
        }
        let dataBytes = opened.reduce(0) { $0 + $1.file.dataBytes }
        let unlisted = opened.reduce(0) { $0 + $1.file.tensors.count } - tensors.count
        var notes =
            unlisted == 0
            ? []
            : [
                counted(unlisted, "tensor in the shards is", "tensors in the shards are")
                    + " not in \(format.indexName) and not used"
            ]
        // total_size is often wrong: writers count tied tensors twice or store the size before a conversion. Each shard
        // is checked against its own header.
        if let total = map.totalSize, total != dataBytes {
            notes.append(
                "\(format.indexName) says the tensors are \(counted(total, "byte")), the shards have \(dataBytes); this is harmless"
            )
        }
        self.notes = notes
        self.tensors = tensors
        files = opened
    }

    /// Maps the weights of a LoRA adapter's base model, with the adapter's changes.
    init(_ adapter: LoraAdapter) throws {
        let whole = try WeightsFolder(path: adapter.base)
        let tensors = try adapter.apply(to: whole.tensors)
        path = whole.path
        format = whole.format
        notes = whole.notes
        adapted = (adapter, whole)
        self.tensors = tensors
        let added = tensors.keys.filter { whole.tensors[$0] == nil }.sorted()
        files =
            whole.files.map { entry in
                let listed = entry.file.names.filter { whole.tensors[$0] != nil }
                return (entry.name, AdaptedFile(entry.file, adapted: tensors, names: listed))
            }
            + adapter.files.enumerated().map { index, entry in
                (entry.name, AdaptedFile(entry.file, adapted: tensors, names: index == 0 ? added : []))
            }
    }

    /// Maps the file `index` of `files` once more, so that what is read of it is released with the result.
    package func reopened(_ index: Int) throws -> any WeightsFile {
        let file = files[index].file
        guard let (adapter, whole) = adapted else { return try format.open(path: file.path) }
        return AdaptedFile(file, adapted: try adapter.apply(to: whole.tensors), names: file.names)
    }

    /// The same weights with their tensors under other names; `StoredTensor.name` stays the one in the files.
    func renamed(_ name: (String) -> String) -> WeightsFolder {
        WeightsFolder(self, tensors: Dictionary(tensors.map { (name($0.key), $0.value) }) { first, _ in first })
    }

    private init(_ folder: WeightsFolder, tensors: [String: StoredTensor]) {
        path = folder.path
        format = folder.format
        files = folder.files
        notes = folder.notes
        adapted = folder.adapted
        self.tensors = tensors
    }

    /// Bytes of tensor data in all files.
    public var dataBytes: Int { files.reduce(0) { $0 + $1.file.dataBytes } }

    /// Throws `file_changed` if a file's size changed since it was opened.
    public func checkUnchanged() throws {
        for (_, file) in files { try file.checkUnchanged() }
    }

    /// Reads `weight_map` and `metadata.total_size` of the index.
    private static func weightMap(_ bytes: [UInt8], file: String) throws -> (shardOf: [String: String], totalSize: Int?)
    {
        let limits = JSONReader.Limits(bytes: 64 << 20, values: 400_000, depth: 8)
        let document: JSONValue
        do throws(JSONFault) {
            document = try JSONValue(parsing: bytes, limits: limits)
        } catch {
            throw WeightsError.json(file, error)
        }
        guard let members = document["weight_map"]?.objectValue, !members.isEmpty else {
            throw WeightsError.indexInvalid(file, "weight_map is missing or empty")
        }
        guard members.count <= SafetensorsHeader.tensorLimit else {
            throw WeightsError.tooManyTensors(file, count: members.count, limit: SafetensorsHeader.tensorLimit)
        }
        let shardOf = try members.mapValues { value in
            guard let shard = value.stringValue else {
                throw WeightsError.indexInvalid(file, "weight_map must map tensor names to file names")
            }
            return shard
        }
        // Some writers store the size as 1.6e10.
        guard let size = document["metadata"]?["total_size"], !size.isNull else { return (shardOf, nil) }
        guard let total = size.doubleValue.flatMap(Int.init(exactly:)), total >= 0 else {
            throw WeightsError.indexInvalid(file, "metadata.total_size is not a whole number")
        }
        return (shardOf, size.intValue ?? total)
    }

    private static func open(
        shards: [String], format: WeightsFormat, folder: String
    ) throws -> [(name: String, file: any WeightsFile)] {
        guard shards.count <= 1024 else {
            throw WeightsError.indexInvalid(folder, "the index names \(shards.count) files, the limit is 1024")
        }
        var missing: [String] = []
        var paths: [(name: String, path: String)] = []
        for shard in shards {
            guard shard.hasSuffix(format.suffix) else {
                throw WeightsError.pathRefused(folder, shard, "it is not a \(format.suffix) file")
            }
            if let path = try FolderPath.resolve(shard, in: folder) {
                paths.append((shard, path))
            } else {
                missing.append(shard)
            }
        }
        guard missing.isEmpty else { throw WeightsError.shardMissing(folder, missing) }
        return try paths.map { ($0.name, try format.open(path: $0.path)) }
    }
}
