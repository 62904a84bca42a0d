import Checkpoints
import Foundation
import Longtake
import Testing
import Tokenizers

/// Where the golden data lies.
let goldenFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
    path: "Fixtures/golden"
).path

/// A folder that exists while `body` runs.
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "longtake-checkpoint-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
}

/// A golden checkpoint's files in a folder of its own, where a test may damage them; its tower is made absolute.
func copyOfGolden(_ name: String, to folder: String) throws {
    for file in ["config.json", "generation_config.json", "model.safetensors"] {
        let source = "\(goldenFolder)/\(name)/\(file)"
        guard FileManager.default.fileExists(atPath: source) else { continue }
        try FileManager.default.copyItem(atPath: source, toPath: "\(folder)/\(file)")
    }
    try editConfig(of: folder) { config in
        if let tower = config["mm_vision_tower"] as? String {
            config["mm_vision_tower"] = "\(goldenFolder)/\(name)/\(tower)"
        }
    }
}

/// Rewrites config.json.
func editConfig(of folder: String, file: String = "config.json", _ edit: (inout [String: Any]) -> Void) throws {
    let url = URL(filePath: "\(folder)/\(file)")
    var config = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    edit(&config)
    try JSONSerialization.data(withJSONObject: config).write(to: url)
}

/// The text of the error that opening, checking and tokenizing a model folder throws; nil if it is accepted.
func refusal(of folder: String) -> String? {
    do {
        try CheckpointFolder(path: folder, environment: [:]).validate()
        _ = try TokenizerLoader.load(folder: URL(filePath: folder))
        return nil
    } catch { return "\(error)" }
}

/// A nano checkpoint's files, written once for the tests that damage one.
private let nanoFiles = Result<[(name: String, content: Data)], any Error> {
    try withTemporaryFolder { folder in
        try RandomCheckpoint.write(.nano, type: .bf16, to: folder + "/nano", seed: 1)
        return try FileManager.default.subpathsOfDirectory(atPath: folder + "/nano").sorted().compactMap { name in
            (try? Data(contentsOf: URL(filePath: "\(folder)/nano/\(name)"))).map { (name, $0) }
        }
    }
}

/// A nano checkpoint that a test may damage; in shards of at most `shardLimit` bytes.
func withNano(
    _ type: RandomCheckpoint.DataType = .bf16, shardLimit: Int? = nil, _ body: (String) throws -> Void
) throws {
    try withTemporaryFolder { folder in
        let path = folder + "/nano"
        if type == .bf16, shardLimit == nil {
            try FileManager.default.createDirectory(atPath: path + "/vision_tower", withIntermediateDirectories: true)
            for file in try nanoFiles.get() { try file.content.write(to: URL(filePath: "\(path)/\(file.name)")) }
        } else {
            try RandomCheckpoint.write(
                .nano, type: type, to: path, seed: 1, shardLimit: shardLimit ?? 1 << 30, free: nil,
                progress: { _, _ in })
        }
        try body(path)
    }
}

/// Expects that a model folder is refused with an error that has each of these parts.
func expectRefusal(of folder: String, says parts: [String], sourceLocation: SourceLocation = #_sourceLocation) {
    let text = refusal(of: folder)
    for part in parts {
        #expect(text?.contains(part) == true, "\(text ?? "accepted")", sourceLocation: sourceLocation)
    }
}
