import Foundation
import Glibc
import Testing

/// `longtake model pull` from a hub on this machine.
@Suite struct ModelPullTests {
    @Test func `the cache has the standard layout, and only what is needed`() throws {
        let hub = try HubServer()
        var tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        tool.environment["HF_TOKEN"] = "hf_secret"
        let result = try tool.run("model", "pull", HubServer.model)
        #expect(result.status == 0, "\(result.errors)")
        try tool.expectComplete()
        let folder = try tool.snapshot(HubServer.model)
        #expect(result.text.split(separator: "\n").last.map(String.init) == folder)
        let commit = try #require(folder.split(separator: "/").last)
        #expect(result.text.contains("org/nano  \(commit)  6 files"), "\(result.text)")
        #expect(result.text.contains("org/tower  ") && result.text.contains("  3 files"), "\(result.text)")
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/model.safetensors")
        #expect(link.wholeMatch(of: /\.\.\/\.\.\/blobs\/[0-9a-f]{64}/) != nil, "\(link)")
        let small = try FileManager.default.destinationOfSymbolicLink(atPath: folder + "/config.json")
        #expect(small.wholeMatch(of: /\.\.\/\.\.\/blobs\/[0-9a-f]{40}/) != nil, "\(small)")
        #expect(tool.exists("hf/hub/models--org--nano/.no_exist/\(commit)/tokenizer.model"))
        #expect(tool.exists("hf/hub/CACHEDIR.TAG"))
        // The token goes to the hub with every request, and never to the host of the redirect.
        let requests = try hub.requests()
        #expect(requests.contains { $0.host == "cdn" })
        #expect(requests.filter { $0.host == "cdn" }.allSatisfy { $0.authorization == nil })
        #expect(requests.filter { $0.host == "hub" }.allSatisfy { $0.authorization == "Bearer hf_secret" })
        for name in ["README.md", "pytorch_model.bin", "onnx.bin", "tf_model.h5"] {
            #expect(!requests.contains { $0.path.contains(name) }, "\(name)")
        }
        #expect(!result.text.contains("hf_secret") && !result.errors.contains("hf_secret"))
        // Nothing is fetched twice.
        let again = try tool.run("model", "pull", HubServer.model, "--json")
        #expect(again.status == 0, "\(again.errors)")
        #expect(try again.object()["bytes_received"] as? Int == 0)
        #expect(try hub.requests().dropFirst(requests.count).allSatisfy { $0.path.hasPrefix("/api/") })
        // A commit is a revision too.
        #expect(try tool.run("model", "pull", "org/nano@\(commit)", "-q").text == folder + "\n")
    }

    @Test func `a model whose picture settings are in processor_config.json answers as its folder does`() throws {
        let hub = try HubServer()
        let tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        let source = HubServer.repository + "/Tests/Fixtures/llava/hf"
        try FileManager.default.createSymbolicLink(
            atPath: hub.folder + "/models/org/pictures", withDestinationPath: source)
        #expect(try tool.run("model", "pull", "org/pictures").status == 0)
        let image = tool.path("a.png")
        try Fixtures.ffmpeg("-i", Fixtures.video.get(), "-frames:v", "1", image)
        let answers = try ["org/pictures", source].map { model in
            try tool.run("ask", "--image", image, "What?", "--model", model, "--max-tokens", "6", "--json").object()[
                "token_ids"] as? [Int]
        }
        #expect(answers[0]?.isEmpty == false && answers[0] == answers[1], "\(answers)")
    }

    @Test func `an adapter comes with its base model`() throws {
        let hub = try HubServer()
        let tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        let adapter = hub.folder + "/models/org/adapter"
        try FileManager.default.createDirectory(atPath: adapter, withIntermediateDirectories: true)
        let source = HubServer.repository + "/Tests/Fixtures/lora/lora/"
        let config = try Data(contentsOf: URL(filePath: source + "adapter_config.json"))
        var values = try #require(try JSONSerialization.jsonObject(with: config) as? [String: Any])
        values["base_model_name_or_path"] = HubServer.model
        try JSONSerialization.data(withJSONObject: values).write(to: URL(filePath: adapter + "/adapter_config.json"))
        let weights = "adapter_model.safetensors"
        try FileManager.default.copyItem(atPath: source + weights, toPath: adapter + "/" + weights)
        let pull = try tool.run("model", "pull", "org/adapter", "--json")
        #expect(pull.status == 0, "\(pull.errors)")
        let report = try pull.object()
        let names = ["model", "base_model", "vision_tower"].map { (report[$0] as? [String: Any])?["name"] as? String }
        #expect(names == ["org/adapter", HubServer.model, HubServer.tower])
        try tool.expectComplete()
        let tokens = try ["org/adapter", HubServer.model].map {
            try tool.run("model", "tokenize", $0, input: Data("\"a word\"\n".utf8)).text
        }
        #expect(tokens[0] == tokens[1] && tokens[0].hasPrefix("["), "the tokenizer is the base model's")
        func state() throws -> String? {
            try tool.run("model", "ls", "--json").list().first { $0["name"] as? String == "org/adapter" }?["state"]
                as? String
        }
        #expect(try state() == "complete")
        #expect(try tool.run("model", "rm", HubServer.model, "--yes").status == 0)
        #expect(try state() == "partial")
        let refused = try tool.run("model", "tokenize", "org/adapter", input: Data("\"a\"\n".utf8))
        #expect(refused.status == 12)
        #expect(refused.errors.contains("a LoRA adapter of \"org/nano\", which is not on this machine"))
        #expect(refused.errors.contains("`longtake model pull` downloads it"), "\(refused.errors)")
    }

    @Test func `without symbolic links the files are hard links to the blobs`() throws {
        let hub = try HubServer()
        var tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        tool.environment["HF_HUB_DISABLE_SYMLINKS"] = "1"
        let pull = try tool.run("model", "pull", HubServer.model)
        #expect(pull.status == 0, "\(pull.errors)")
        try tool.expectComplete()
        let file = try tool.snapshot(HubServer.model) + "/model.safetensors"
        let attributes = try FileManager.default.attributesOfItem(atPath: file)
        #expect(attributes[.type] as? FileAttributeType == .typeRegular && attributes[.referenceCount] as? Int == 2)
        #expect(try tool.run("model", "verify").status == 0)
        #expect(try tool.run("model", "pull", HubServer.model, "--json").object()["bytes_received"] as? Int == 0)
        // Complete to the real client, and the other way round: it moves the files out of the blobs.
        #expect(try hub.client(tool, "snapshot", HubServer.model, offline: true).status == 0)
        #expect(try tool.run("model", "rm", HubServer.model, HubServer.tower, "--yes").status == 0)
        for model in [HubServer.model, HubServer.tower] {
            #expect(try hub.client(tool, "snapshot", model).status == 0)
        }
        tool.environment["HF_HUB_OFFLINE"] = "1"
        #expect(try tool.run("model", "pull", HubServer.model, "-q").status == 0)
    }

    @Test func `SIGUSR1 prints how far a download is`() throws {
        let hub = try HubServer()
        let tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        try hub.set(["pause": 0.02])
        let pull = try Child(tool, "model", "pull", HubServer.model, "-q")
        try pull.waitForStatusSignal()
        try pull.wait("a line of status") {
            pull.send(SIGUSR1)
            return pull.errors.contains(" of ") || !pull.process.isRunning
        }
        let result = pull.end()
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains("longtake: status: ") && result.errors.contains(" of "), "\(result.errors)")
    }

    @Test func `two commands lead from an empty home to an answer`() throws {
        let hub = try HubServer()
        let tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        let video = try Fixtures.video.get()
        let before = try tool.run("ask", video, "Who?", "--model", HubServer.model, "--json")
        #expect(before.status == 12)
        #expect(try before.exitError()["error"] as? String == "not_downloaded")
        #expect(before.errors.contains("`longtake model pull` downloads it"), "\(before.errors)")
        #expect(try tool.run("model", "pull", HubServer.model).status == 0)
        let answer = try tool.run("ask", video, "Who?", "--model", HubServer.model, "--max-tokens", "4", "--json")
        #expect(answer.status == 0, "\(answer.errors)")
        // The same answer as with the folder's path, from the same index.
        let folder = try tool.snapshot(HubServer.model)
        let other = try tool.run("ask", video, "Who?", "--model", folder, "--max-tokens", "4", "--json")
        #expect(try answer.object()["token_ids"] as? [Int] == other.object()["token_ids"] as? [Int])
        #expect(try tool.run("ls", "--json").list().compactMap { $0["model"] as? String } == ["nano"])
        #expect(try tool.run("model", "inspect", HubServer.model).text.contains("hub size") == false)
        #expect(try tool.run("model", "inspect", HubServer.model + "@main").status == 0)
        #expect(try tool.run("model", "tokenize", HubServer.model, input: Data("\"a\"\n".utf8)).status == 0)
    }

    @Test func `huggingface_hub finds a cache filled here complete, offline`() throws {
        let hub = try HubServer()
        let tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        #expect(try tool.run("model", "pull", HubServer.model).status == 0)
        for (name, files) in HubServer.wanted {
            let (model, folder) = ("org/" + name, try tool.snapshot("org/" + name))
            #expect(try hub.client(tool, "snapshot", model, offline: true).text == folder + "\n")
            for file in files {
                #expect(
                    try hub.client(tool, "files", model, file, offline: true).text == "\(folder)/\(file)\n", "\(file)")
            }
        }
        let absent = try hub.client(tool, "absent", HubServer.model, "vocab.json", "tokenizer.model", offline: true)
        #expect(absent.text == "absent\nabsent\n", "\(absent.errors)")
        let scan = try hub.client(tool, "scan", offline: true)
        #expect(scan.text.contains("\"org/nano\"") && !scan.text.contains("warning"), "\(scan.text) \(scan.errors)")
        // Online it fetches only what was left out, nothing that is there.
        let before = try hub.requests().count
        #expect(try hub.client(tool, "snapshot", HubServer.model).status == 0)
        #expect(try !hub.requests().dropFirst(before).contains { $0.path.contains("model.safetensors?") })
    }

    @Test func `a cache filled by huggingface_hub is complete here`() throws {
        let hub = try HubServer()
        var tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        for model in [HubServer.model, HubServer.tower] {
            let result = try hub.client(tool, "snapshot", model)
            #expect(result.status == 0, "\(result.errors)")
        }
        let listed = try tool.run("model", "ls", "--json").list()
        #expect(listed.map { $0["name"] as? String } == ["org/nano", "org/tower"])
        #expect(listed.allSatisfy { $0["state"] as? String == "complete" }, "\(listed)")
        #expect(try tool.run("model", "verify").status == 0)
        let before = try hub.requests().count
        let pull = try tool.run("model", "pull", HubServer.model, "--json")
        #expect(try pull.object()["bytes_received"] as? Int == 0)
        #expect(try hub.requests().dropFirst(before).allSatisfy { $0.path.hasPrefix("/api/") })
        tool.environment["HF_HUB_OFFLINE"] = "1"
        let offline = try tool.run("model", "pull", HubServer.model, "-q")
        #expect(try offline.text == tool.snapshot(HubServer.model) + "\n", "\(offline.errors)")
        #expect(
            try tool.run("ask", Fixtures.video.get(), "Who?", "--model", "org/nano", "--max-tokens", "2").status == 0)
        // What is missing is named.
        try FileManager.default.removeItem(atPath: tool.snapshot(HubServer.tower) + "/model.safetensors")
        let partial = try tool.run("model", "pull", HubServer.model, "--json")
        #expect(partial.status == 12)
        #expect(partial.errors.contains("org/tower/model.safetensors"), "\(partial.errors)")
        let states = try tool.run("model", "ls", "--json").list().map { $0["state"] as? String }
        #expect(states == ["partial", "partial"])
    }

    @Test func `list, verify, repair and remove`() throws {
        let hub = try HubServer()
        let tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        #expect(try tool.run("model", "ls").errors.contains("model pull"))
        #expect(try tool.run("model", "pull", HubServer.model).status == 0)
        let rows = try tool.run("model", "ls").text.split(separator: "\n")
        #expect(rows.count == 3 && rows[1].contains("complete") && rows[1].hasSuffix(" main"), "\(rows)")
        // One changed byte.
        let weights = URL(filePath: try tool.snapshot(HubServer.model) + "/model.safetensors").resolvingSymlinksInPath()
        let file = try FileHandle(forUpdating: weights)
        try file.seek(toOffset: 100_000)
        let byte = try #require(try file.read(upToCount: 1)?.first)
        try file.seek(toOffset: 100_000)
        try file.write(contentsOf: Data([byte ^ 1]))
        try file.close()
        let damaged = try tool.run("model", "verify", "--json")
        #expect(damaged.status == 17)
        let found = try damaged.list().first { $0["name"] as? String == "org/nano" }
        #expect(found?["damaged"] as? [String] == ["blobs/" + weights.lastPathComponent])
        #expect(try tool.run("model", "verify", HubServer.tower).status == 0)
        #expect(try tool.run("model", "pull", HubServer.model, "--verify").status == 0)
        #expect(try tool.run("model", "verify").status == 0)
        try tool.expectComplete()
        #expect(try tool.run("model", "rm", HubServer.model).status == 64)
        #expect(try tool.run("model", "rm", HubServer.model, "--dry-run").text.hasPrefix("would remove org/nano  "))
        try tool.expectComplete()
        #expect(try tool.run("model", "rm", HubServer.model, "--yes").text.hasPrefix("removed org/nano  "))
        #expect(!tool.exists("hf/hub/models--org--nano") && tool.exists("hf/hub/models--org--tower"))
        #expect(try tool.run("model", "rm", HubServer.model, "--yes").status == 12)
        for command in ["pull", "rm", "verify"] {
            #expect(try tool.run("model", command, "../../etc", "--json").status == 64, "\(command)")
        }
    }

    @Test func `two at once fetch every file once`() throws {
        let hub = try HubServer()
        let tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        try hub.set(["pause": 0.002])
        let pulls = try (0..<3).map { _ in try Child(tool, "model", "pull", HubServer.model, "-q") }
        for pull in pulls { #expect(pull.end().status == 0, "\(pull.errors)") }
        try tool.expectComplete()
        let files = try hub.requests().filter { $0.host == "cdn" }.map(\.path)
        #expect(files.count == Set(files).count, "\(files)")
        // A model that is being downloaded is not removed.
        #expect(try tool.run("model", "rm", HubServer.model, "--yes").status == 0)
        let pull = try Child(tool, "model", "pull", HubServer.model, "-q")
        let blobs = tool.cached(HubServer.model) + "/blobs"
        try pull.wait("an incomplete file") {
            (try? FileManager.default.contentsOfDirectory(atPath: blobs))?.contains { $0.hasSuffix(".incomplete") }
                ?? false
        }
        let refused = try tool.run("model", "rm", HubServer.model, "--yes")
        #expect(refused.status == 11 || !pull.process.isRunning, "\(refused.errors)")
        #expect(pull.end().status == 0)
    }

    @Test func `certificates are verified`() throws {
        let hub = try HubServer(certificate: true)
        var tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        #expect(hub.address.hasPrefix("https://"))
        let refused = try tool.run("model", "pull", HubServer.model)
        #expect(refused.status == 16)
        #expect(refused.errors.contains("SSL_CERT_FILE"), "\(refused.errors)")
        #expect(try hub.requests().isEmpty)
        tool.environment["SSL_CERT_FILE"] = hub.folder + "/cert.pem"
        let result = try tool.run("model", "pull", HubServer.model)
        #expect(result.status == 0, "\(result.errors)")
        try tool.expectComplete()
        // The same certificate for another name.
        tool.environment["HF_ENDPOINT"] = hub.address.replacingOccurrences(of: "127.0.0.1", with: "127.0.0.2")
        #expect(try tool.run("model", "pull", HubServer.model).status == 16)
    }
}
