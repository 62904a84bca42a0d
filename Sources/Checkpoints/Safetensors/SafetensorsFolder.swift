public import Tensors

/// The weights of a model folder: `model.safetensors`, or the shards named by `model.safetensors.index.json`.
public final class SafetensorsFolder: Sendable {
    /// The name of an unsharded weight file.
    public static let singleName = "model.safetensors"
    /// The name of the shard index.
    public static let indexName = "model.safetensors.index.json"

    /// The folder's path as given.
    public let path: String
    /// The tensors of all files, by name.
    public let tensors: [String: StoredTensor]
    /// The mapped files and their names in the folder, sorted by name.
    public let files: [(name: String, file: SafetensorsFile)]
    /// Unusual but harmless findings, one sentence each.
    public let notes: [String]

    /// Maps all weights in `path`; throws `WeightsError`. A single file takes precedence over an index, as in
    /// transformers.
    public init(path: String) throws {
        self.path = path
        if let single = try FolderPath.resolve(Self.singleName, in: path) {
            let file = try SafetensorsFile(path: single)
            files = [(Self.singleName, file)]
            tensors = file.tensors
            notes = []
            return
        }
        guard let index = try FolderPath.read(Self.indexName, in: path, limit: 64 << 20) else {
            for other in ["pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"]
            where try FolderPath.resolve(other, in: path) != nil {
                throw WeightsError.notSafetensors(path, other)
            }
            throw WeightsError.weightsMissing(path)
        }
        let name = path + "/" + Self.indexName
        let map = try Self.weightMap(index, file: name)
        let opened = try Self.open(shards: Set(map.shardOf.values).sorted(), folder: path)
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
                    + " not in \(Self.indexName) and not used"
            ]
        // total_size is often wrong: writers count tied tensors twice or store the size before a conversion. Each shard
        // is checked against its own header.
        if let total = map.totalSize, total != dataBytes {
            notes.append(
                "\(Self.indexName) says the tensors are \(counted(total, "byte")), the shards have \(dataBytes); this is harmless"
            )
        }
        self.notes = notes
        self.tensors = tensors
        files = opened
    }

    /// The same weights with their tensors under other names; `StoredTensor.name` stays the one in the files.
    func renamed(_ name: (String) -> String) -> SafetensorsFolder {
        SafetensorsFolder(
            path: path, tensors: Dictionary(tensors.map { (name($0.key), $0.value) }) { first, _ in first },
            files: files, notes: notes)
    }

    private init(
        path: String, tensors: [String: StoredTensor], files: [(name: String, file: SafetensorsFile)], notes: [String]
    ) {
        self.path = path
        self.tensors = tensors
        self.files = files
        self.notes = notes
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

    private static func open(shards: [String], folder: String) throws -> [(name: String, file: SafetensorsFile)] {
        guard shards.count <= 1024 else {
            throw WeightsError.indexInvalid(folder, "the index names \(shards.count) files, the limit is 1024")
        }
        var missing: [String] = []
        var paths: [(name: String, path: String)] = []
        for shard in shards {
            guard shard.hasSuffix(".safetensors") else {
                throw WeightsError.pathRefused(folder, shard, "it is not a .safetensors file")
            }
            if let path = try FolderPath.resolve(shard, in: folder) {
                paths.append((shard, path))
            } else {
                missing.append(shard)
            }
        }
        guard missing.isEmpty else { throw WeightsError.shardMissing(folder, missing) }
        return try paths.map { ($0.name, try SafetensorsFile(path: $0.path)) }
    }
}
