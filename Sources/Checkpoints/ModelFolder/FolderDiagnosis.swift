import Glibc
import SystemCalls
import Tensors

/// Recognizes common mistakes in the path of a model folder; each error says how to fix one.
enum FolderDiagnosis {
    /// The end of every message that asks for a different model.
    private static let nextStep =
        "give a folder with config.json, weights (*.safetensors or pytorch_model*.bin) and the tokenizer, as published "
        + "for LLaVA-Mini"

    /// The error for a `path` that is not a folder: a file, a model hub ID or nothing.
    ///
    /// - Parameter environment: locates the Hugging Face hub cache.
    static func notAFolder(_ path: String, environment: [String: String]) -> CheckpointError {
        var info = stat()
        if stat(path, &info) == 0 {
            let (name, folder) = parts(path)
            switch kind(ofFile: path) {
            case .gguf: return unsupported(path, "a GGUF file, which is not supported; \(nextStep)")
            case .lfsPointer: return lfsPointer(path)
            case .modelFile:
                return .init(
                    .folderMissing, "\(path): a single file of a model; give the folder that contains it: \(folder)")
            case .other:
                return .init(.folderMissing, "\(path): \(name) is a file, not a model folder; \(nextStep)")
            }
        }
        // Taken for a hub ID: "org/name" or "org/name@revision" if there is no folder "org".
        let organization = path.split(separator: "/").first.map(String.init) ?? ""
        let repository = path.split(separator: "@", maxSplits: 1).first.map(String.init) ?? ""
        guard TowerFolder.isHubID(repository), repository.contains("/"), !FolderPath.isFolder(organization) else {
            return .folderMissing(path)
        }
        let cache = TowerFolder.hubCache(environment) ?? "any hub cache"
        return .init(
            .notDownloaded,
            "\(path): no such folder; it looks like a name on a model hub, and it is not in \(cache)")
    }

    /// The error for a folder that is clearly no model with weights; nil if loading should be tried.
    ///
    /// - Parameter weights: another folder whose weights are used; nil for `folder` itself.
    static func fault(of folder: String, weights other: String?) -> CheckpointError? {
        let names = listing(folder)
        if names.isEmpty {
            return .init(.configMissing, "\(folder): the folder is empty or cannot be read; \(nextStep)")
        }
        for name in names where isModelFile(name) && kind(ofFile: folder + "/" + name) == .lfsPointer {
            return lfsPointer(folder + "/" + name)
        }
        let weightNames = other.map(listing) ?? names
        let hasWeights = WeightsFormat.allCases.contains { format in
            weightNames.contains(format.singleName) || weightNames.contains(format.indexName)
        }
        if !hasWeights, other == nil {
            // `LoraAdapter` reports what it lacks.
            if names.contains(LoraConfig.name) { return nil }
            if names.contains(where: { $0.hasPrefix("adapter_model.") }) {
                return unsupported(folder, "a LoRA adapter without \(LoraConfig.name): fetch that file too")
            }
        }
        guard names.contains("config.json") else { return withoutConfig(folder, names) }
        return hasWeights ? nil : withoutWeights(other ?? folder, weightNames)
    }

    /// The error for a `model_type` that is not supported; names well-known model families.
    static func otherModel(_ file: String, _ type: String) -> CheckpointError {
        let family: String? =
            switch type {
            case "llava_next", "llava_mistral", "llava_qwen", "llava_gemma": "LLaVA-NeXT"
            case "llava_next_video": "LLaVA-NeXT-Video"
            case "llava_onevision": "LLaVA-OneVision"
            case _ where type.hasPrefix("qwen") && type.contains("vl"): "Qwen-VL"
            case _ where type.hasPrefix("internvl"): "InternVL"
            default: nil
            }
        let suffix = family.map { " (\($0))" } ?? ""
        return .init(
            .modelTypeUnknown,
            "\(file): not a LLaVA-Mini checkpoint: model_type \"\(type)\"\(suffix) is not supported; questions need "
                + "llava_mini_llama, llava_llama or llava, and llama, clip and clip_vision_model can be inspected")
    }

    /// The error for a folder without config.json; `names` are its files.
    private static func withoutConfig(_ folder: String, _ names: [String]) -> CheckpointError {
        func has(_ suffix: String) -> Bool { names.contains { $0.hasSuffix(suffix) } }
        if names.contains("model_index.json") {
            return unsupported(folder, "a diffusers pipeline, which generates images; \(nextStep)")
        }
        if !has(".safetensors"), let inner = innerFolder(folder, names) {
            return .init(.configMissing, "\(folder): the model is in a subfolder; give \(inner)")
        }
        if has(".gguf") { return unsupported(folder, "a folder of GGUF files, which are not supported; \(nextStep)") }
        if names.contains("mm_projector.bin") || names.contains("mm_projector.safetensors") {
            return projector(folder)
        }
        if names.contains("params.json") || names.contains(where: { $0.hasPrefix("consolidated.") }) {
            return unsupported(
                folder, "Llama weights in Meta's own format (consolidated.*), which is not supported; \(nextStep)")
        }
        if !names.contains(where: isPyTorchWeights), let other = otherFormat(names) {
            return unsupported(folder, "\(other); \(nextStep)")
        }
        if has(".safetensors") || names.contains(where: isPyTorchWeights) {
            return .init(
                .configMissing,
                "\(folder)/config.json: no such file; the folder has only weights: fetch the model's config.json too")
        }
        return .configMissing(folder + "/config.json")
    }

    /// The error for a folder without weights of a known name; nil if `WeightsFolder` reports it.
    private static func withoutWeights(_ folder: String, _ names: [String]) -> CheckpointError? {
        for format in WeightsFormat.allCases
        where names.contains(where: { $0.hasSuffix(format.suffix) && $0.contains("-of-") }) {
            return .init(
                .unsupported,
                "\(folder): has shards without \(format.indexName), their list of tensors: fetch that file too")
        }
        if names.contains(where: { $0.hasPrefix("mm_projector.") }) { return projector(folder) }
        if names.contains(where: { $0.hasSuffix(".gguf") }) {
            return unsupported(folder, "a folder of GGUF files, which are not supported; \(nextStep)")
        }
        return otherFormat(names).map { unsupported(folder, "\($0); \(nextStep)") }
    }

    /// Describes the format of a folder without safetensors weights; nil if unknown.
    private static func otherFormat(_ names: [String]) -> String? {
        func has(_ suffix: String) -> Bool { names.contains { $0.hasSuffix(suffix) } }
        if has(".onnx") { return "an ONNX model, which is not supported" }
        if has(".h5") || names.contains("saved_model.pb") { return "a TensorFlow model, which is not supported" }
        if has(".msgpack") { return "a Flax model, which is not supported" }
        if has(".bin") || has(".pt") || has(".pth") || has(".ckpt") {
            return
                "PyTorch files of other names than \(WeightsFormat.pytorch.singleName) and its shards, which are not "
                + "read"
        }
        return nil
    }

    /// True for the names that transformers gives to PyTorch's weights.
    private static func isPyTorchWeights(_ name: String) -> Bool {
        name.hasPrefix("pytorch_model") && name.hasSuffix(WeightsFormat.pytorch.suffix)
    }

    private static func projector(_ folder: String) -> CheckpointError {
        unsupported(folder, "only a projector (mm_projector), one part of a model; give the folder of the whole model")
    }

    private static func unsupported(_ path: String, _ what: String) -> CheckpointError {
        .init(.unsupported, "\(path): \(what)")
    }

    private static func lfsPointer(_ file: String) -> CheckpointError {
        .init(
            .unsupported,
            "\(file): a Git LFS pointer, not the file itself; run `git lfs install` and `git lfs pull` in "
                + "its folder, or download it again")
    }

    /// The subfolder to give instead: a hub cache's snapshot, or the only subfolder with a config.json (an unpacked
    /// archive).
    ///
    /// If there are several snapshots, the one that `refs/main` names, else the last by name.
    private static func innerFolder(_ folder: String, _ names: [String]) -> String? {
        let snapshots = folder + "/snapshots"
        let candidates =
            names.contains("snapshots")
            ? listing(snapshots).map { snapshots + "/" + $0 } : names.prefix(1000).map { folder + "/" + $0 }
        let found = candidates.filter { isRegular($0 + "/config.json") }
        if found.count > 1, let main = mainSnapshot(folder), found.contains(main) { return main }
        return found.count == 1 || names.contains("snapshots") ? found.last : nil
    }

    /// The snapshot that `refs/main` names in a hub cache's `models--org--name` folder; nil if there is no such file.
    private static func mainSnapshot(_ folder: String) -> String? {
        (try? FolderPath.read("refs/main", in: folder, limit: 4096)).flatMap {
            $0.map { folder + "/snapshots/" + String(decoding: $0.prefix { $0 > 0x20 }, as: UTF8.self) }
        }
    }

    private enum FileKind { case gguf, lfsPointer, modelFile, other }

    /// The kind of a file, from its first 64 bytes, then its name.
    private static func kind(ofFile path: String) -> FileKind {
        // Opening a pipe would block without O_NONBLOCK.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        var start = [UInt8](repeating: 0, count: 64)
        if descriptor >= 0 {
            defer { close(descriptor) }
            var info = stat()
            if fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG {
                _ = pread(descriptor, &start, start.count, 0)
            }
        }
        if start.starts(with: "version https://git-lfs.github.com/".utf8) { return .lfsPointer }
        if start.starts(with: "GGUF".utf8) { return .gguf }
        let name = parts(path).name
        if name.hasSuffix(".gguf") { return .gguf }
        return isModelFile(name) ? .modelFile : .other
    }

    /// True for the name endings of files in a model folder.
    private static func isModelFile(_ name: String) -> Bool {
        [".safetensors", ".bin", ".pt", ".pth", ".json", ".model", ".gguf", ".txt"].contains { name.hasSuffix($0) }
    }

    private static func isRegular(_ path: String) -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFREG
    }

    private static func parts(_ path: String) -> (name: String, folder: String) {
        guard let slash = path.lastIndex(of: "/") else { return (path, ".") }
        return (String(path[path.index(after: slash)...]), slash == path.startIndex ? "/" : String(path[..<slash]))
    }

    /// The names in a folder, sorted, without hidden ones; empty if the folder cannot be read.
    private static func listing(_ folder: String) -> [String] {
        let names = (try? SystemCall.names(in: folder)) ?? []
        return names.map { String(decoding: $0, as: UTF8.self) }.filter { !$0.hasPrefix(".") }.sorted()
    }
}
