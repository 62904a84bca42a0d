import Tensors

/// Finds the folder that `mm_vision_tower` names, on this machine only; nothing is downloaded.
package struct TowerFolder {
    /// The folder; nil if it was not found.
    let path: String?
    /// The paths tried, for the message.
    let tried: [String]

    /// Tries, in order: the path itself (absolute, or relative to the checkpoint), `<checkpoint>/vision_tower`, the hub
    /// cache.
    init(tower: String, checkpoint: String, environment: [String: String]) throws {
        var tried: [String] = []
        func folder(_ path: String) -> String? {
            tried.append(path)
            return FolderPath.isFolder(path) ? path : nil
        }
        if tower.isEmpty || tower.utf8.contains(0) || tower.utf8.count > 1024 {
            throw CheckpointError.configInvalid(
                checkpoint + "/config.json", "mm_vision_tower is not a folder or a hub id")
        }
        if let found = folder(tower.hasPrefix("/") ? tower : checkpoint + "/" + tower) {
            self.init(path: found, tried: tried)
            return
        }
        if let found = folder(checkpoint + "/vision_tower") {
            self.init(path: found, tried: tried)
            return
        }
        if Self.isHubID(tower), let cache = Self.hubCache(environment) {
            let model = cache + "/models--" + tower.split(separator: "/").joined(separator: "--")
            tried.append(model)
            self.init(path: try Self.snapshot(of: model), tried: tried)
            return
        }
        self.init(path: nil, tried: tried)
    }

    private init(path: String?, tried: [String]) {
        self.path = path
        self.tried = tried
    }

    /// True for `name` or `org/name` of letters, digits, `-`, `_` and `.`, as the hub allows.
    package static func isHubID(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return (1...2).contains(parts.count)
            && parts.allSatisfy { part in
                !part.isEmpty && part != "." && part != ".."
                    && part.utf8.allSatisfy { byte in
                        switch byte {
                        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
                        default: false
                        }
                    }
            }
    }

    /// The hub cache folder, from the first of these that is set.
    ///
    /// HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub.
    package static func hubCache(_ environment: [String: String]) -> String? {
        func set(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let path = set("HF_HUB_CACHE") ?? set("HUGGINGFACE_HUB_CACHE") { return path }
        if let home = set("HF_HOME") { return home + "/hub" }
        // The XDG specification says to ignore relative values.
        if let cache = set("XDG_CACHE_HOME"), cache.hasPrefix("/") { return cache + "/huggingface/hub" }
        return set("HOME").map { $0 + "/.cache/huggingface/hub" }
    }

    /// The snapshot that `refs/main` of a cached model names; nil if it is not there.
    private static func snapshot(of model: String) throws -> String? {
        guard FolderPath.isFolder(model), let bytes = try FolderPath.read("refs/main", in: model, limit: 4096) else {
            return nil
        }
        let commit =
            String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
        guard commit.utf8.count == 40, commit.allSatisfy(\.isHexDigit) else { return nil }
        let path = model + "/snapshots/" + commit
        return FolderPath.isFolder(path) ? path : nil
    }
}
