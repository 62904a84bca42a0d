import Foundation
import Testing

/// Where the golden data lies.
let goldenFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Fixtures/golden").path

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
