internal import Checkpoints
internal import Foundation
internal import Glibc
internal import SystemCalls

/// The files of a model folder that its quantized copy has unchanged: all but the weights and the configurations that
/// are rewritten.
///
/// A vision tower that is elsewhere, in a folder of its own or in the hub cache, is copied to `vision_tower`.
struct FolderFiles {
    /// The vision tower's folder in the copy.
    static let towerName = "vision_tower"

    private struct File {
        let source: String
        let target: String
        let bytes: Int64
    }

    private var files: [File] = []
    /// True if the copy has a folder of its own for the vision tower.
    let hasTower: Bool
    /// Bytes of all files.
    var bytes: Int64 { files.reduce(0) { $0 + $1.bytes } }

    /// Most files that are copied, and the depth of their folders.
    private static let (fileLimit, depthLimit) = (10_000, 8)

    init(of source: CheckpointFolder) throws {
        let tower = source.fusion != nil ? source.towerFolder : nil
        hasTower = tower != nil
        let towerPath = tower.flatMap(FolderPath.real)
        let hasOwnWeights = source.towerWeights != nil
        try add(source.path, target: "", depth: 0) { name, path in
            if name == "config.json" { return false }
            if source.baseFolder != nil, name == "adapter_config.json" { return false }
            guard hasOwnWeights || towerPath != nil else { return true }
            return name != Self.towerName && path != towerPath
        }
        // An adapter's folder may lack the tokenizer and other files of its base model.
        if let base = source.baseFolder {
            let own = Set(files.map(\.target))
            let isTop = { (name: String) in !name.contains("/") }
            try add(base, target: "", depth: Self.depthLimit) { name, path in
                isTop(name) && name != "config.json" && !own.contains(name) && path != towerPath
            }
        }
        guard let tower else { return }
        // A tower whose weights are not used has only its configuration here.
        try add(tower, target: Self.towerName + "/", depth: 0) { name, _ in !(hasOwnWeights && name == "config.json") }
    }

    private mutating func add(
        _ folder: String, target: String, depth: Int, isWanted: (_ name: String, _ path: String) -> Bool
    ) throws {
        let names = ((try? SystemCall.names(in: folder)) ?? []).compactMap { String(validating: $0, as: UTF8.self) }
        for name in names.sorted() where !name.hasPrefix(".") && !Self.isWeights(name) {
            // A link that leads out of the folder is refused here.
            guard let path = try FolderPath.resolve(name, in: folder), isWanted(name, path) else { continue }
            guard let status = try? SystemCall.status(of: path) else { continue }
            switch status.st_mode & S_IFMT {
            case S_IFREG:
                guard files.count < Self.fileLimit else {
                    throw CheckpointError(.unsupported, "\(folder): has more than \(Self.fileLimit) files")
                }
                files.append(File(source: path, target: target + name, bytes: Int64(status.st_size)))
            case S_IFDIR where depth < Self.depthLimit:
                try add(path, target: target + name + "/", depth: depth + 1) { _, _ in true }
            default: break
            }
        }
    }

    /// True for weights in any format, and for the list of shards, which is written again.
    private static func isWeights(_ name: String) -> Bool {
        name.hasSuffix(".index.json")
            || [".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".h5", ".msgpack"].contains {
                name.hasSuffix($0)
            }
    }

    /// Copies the files into `folder`.
    func copy(to folder: String) throws {
        for file in files {
            let target = folder + "/" + file.target
            try FileManager.default.createDirectory(
                atPath: String(target[..<(target.lastIndex(of: "/") ?? target.startIndex)]),
                withIntermediateDirectories: true)
            do {
                try Self.copy(file.source, to: target)
            } catch {
                throw CheckpointError(.writeFailed, "\(target): copying \(file.source) failed: \(error)")
            }
        }
    }

    private static func copy(_ source: String, to target: String) throws {
        let input = try SystemCall.open(source, O_RDONLY | O_NONBLOCK)
        defer { close(input) }
        let output = try SystemCall.open(target, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
        defer { close(output) }
        var piece = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = try piece.withUnsafeMutableBytes { piece in
                try SystemCall.read(input, piece)
            }
            guard count > 0 else { break }
            try piece.withUnsafeBytes { piece in
                try SystemCall.writeAll(output, UnsafeRawBufferPointer(rebasing: piece[..<count]))
            }
        }
        try SystemCall.sync(output)
    }
}
