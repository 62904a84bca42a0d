import Foundation
import Glibc
import TestSupport
import Testing

/// A hub on this machine, `Tests/Hub/server.py`, and a cache to fill from it.
final class HubServer {
    static let repository = BundledModelTests.repository
    static let python = repository + "/.build/test-python/bin/python"
    /// The model of the tests, whose vision tower is a model of its own.
    static let model = "org/nano"
    static let tower = "org/tower"

    let folder: String
    let address: String
    private let process = Process()
    private let input = Pipe()

    /// - Parameter certificate: makes the hub speak TLS with a certificate of its own, `certificate` in its folder.
    init(certificate: Bool = false) throws {
        try #require(
            FileManager.default.fileExists(atPath: Self.python), "scripts/setup --test installs \(Self.python)")
        folder = FileManager.default.temporaryDirectory.appending(path: "longtake-hub-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder + "/models/org", withIntermediateDirectories: true)
        for name in ["nano", "tower"] {
            try FileManager.default.createSymbolicLink(
                atPath: folder + "/models/org/" + name, withDestinationPath: Self.files.get() + "/" + name)
        }
        if certificate {
            try RealTool.run(
                "openssl",
                [
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                    "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder + "/key.pem", "-out",
                    folder + "/cert.pem",
                ])
        }
        process.executableURL = URL(filePath: Self.python)
        process.arguments = [Self.repository + "/Tests/Hub/server.py", folder]
        process.standardInput = input
        try process.run()
        let file = folder + "/address"
        let deadline = ContinuousClock.now + .seconds(60)
        while !FileManager.default.fileExists(atPath: file), process.isRunning, ContinuousClock.now < deadline {
            usleep(5000)
        }
        address = try String(contentsOfFile: file, encoding: .utf8)
    }

    func stop() {
        // The server ends when its input does.
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// What goes wrong from now on, see the server.
    func set(_ faults: [String: Any]) throws {
        // Renamed into place: the server must not read half of it.
        try JSONSerialization.data(withJSONObject: faults).write(
            to: URL(filePath: folder + "/faults.json"), options: .atomic)
    }

    struct Request {
        let host: String
        let path: String
        let range: String?
        let authorization: String?
    }

    /// The requests so far.
    func requests() throws -> [Request] {
        let text = (try? String(contentsOfFile: folder + "/requests.jsonl", encoding: .utf8)) ?? ""
        return try text.split(separator: "\n").map { line in
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            return Request(
                host: object["host"] as? String ?? "", path: object["path"] as? String ?? "",
                range: object["range"] as? String, authorization: object["authorization"] as? String)
        }
    }

    /// A tool whose cache is empty and whose hub is this one.
    func tool() throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["HF_HOME"] = tool.path("hf")
        tool.environment["HF_ENDPOINT"] = address
        return tool
    }

    /// The files of both models: a random nano checkpoint, and its vision tower.
    static let files: Swift.Result<String, any Error> = Swift.Result {
        let (root, manager) = (Fixtures.folder.path + "/hub", FileManager.default)
        try manager.createDirectory(atPath: root, withIntermediateDirectories: true)
        try manager.copyItem(atPath: Fixtures.model.get(), toPath: root + "/nano")
        try manager.moveItem(atPath: root + "/nano/vision_tower", toPath: root + "/tower")
        let config = URL(filePath: root + "/nano/config.json")
        var object = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: config)) as? [String: Any])
        object["mm_vision_tower"] = tower
        try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys]).write(to: config)
        // What a download leaves out.
        for name in ["nano/README.md", "nano/pytorch_model.bin", "nano/onnx.bin", "tower/tf_model.h5"] {
            try Data("not needed".utf8).write(to: URL(filePath: root + "/" + name))
        }
        return root
    }

    /// The files that a download takes.
    static let wanted: [String: [String]] = [
        "nano": [
            "config.json", "generation_config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
            "tokenizer_config.json",
        ],
        "tower": ["config.json", "model.safetensors", "preprocessor_config.json"],
    ]

    /// Runs the real `huggingface_hub`, see `Tests/Hub/client.py`.
    func client(_ tool: Tool, _ arguments: String..., offline: Bool = false) throws -> Tool.Result {
        var tool = tool
        tool.environment["HF_HUB_DISABLE_TELEMETRY"] = "1"
        tool.environment["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        if offline { tool.environment["HF_HUB_OFFLINE"] = "1" }
        return try Child(tool, program: Self.python, [Self.repository + "/Tests/Hub/client.py"] + arguments).end()
    }
}

extension Tool {
    /// The folder of a model in the cache.
    func cached(_ model: String) -> String { path("hf/hub/models--" + model.replacingOccurrences(of: "/", with: "--")) }

    /// The snapshot that `refs/main` names.
    func snapshot(_ model: String) throws -> String {
        let commit = try String(contentsOfFile: cached(model) + "/refs/main", encoding: .utf8)
        return cached(model) + "/snapshots/" + commit
    }

    /// Both models are in the cache, complete, with the bytes that the hub has.
    func expectComplete() throws {
        for (name, wanted) in HubServer.wanted {
            let folder = try snapshot("org/" + name)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == wanted)
            for file in wanted {
                #expect(
                    try Data(contentsOf: URL(filePath: folder + "/" + file))
                        == Data(contentsOf: URL(filePath: HubServer.files.get() + "/\(name)/\(file)")),
                    "\(name)/\(file)")
            }
            let blobs = try FileManager.default.contentsOfDirectory(atPath: cached("org/" + name) + "/blobs")
            #expect(!blobs.contains { $0.hasSuffix(".incomplete") }, "\(blobs)")
        }
    }
}
