import Foundation
import Glibc
import TestSupport
import Testing

/// Hubs and connections that fail, and downloads that are interrupted.
@Suite struct ModelPullFaultTests {
    struct Fault: CustomTestStringConvertible {
        let name: String
        var faults: [String: Any] {
            (try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]) ?? [:]
        }
        let json: String
        var token: String?
        var model = HubServer.model
        let status: Int32
        let code: String
        let says: String
        var testDescription: String { name }
    }

    @Test(arguments: [
        Fault(
            name: "gated, no token", json: #"{"gated": ["org/nano"], "token": "hf_right"}"#, status: 12,
            code: "access_denied", says: "set HF_TOKEN"),
        Fault(
            name: "gated, another token", json: #"{"gated": ["org/nano"], "token": "hf_right"}"#, token: "hf_wrong",
            status: 12, code: "access_denied", says: "accept its license on"),
        Fault(
            name: "no such model", json: "{}", model: "org/other", status: 12, code: "model_not_found",
            says: "no such model"),
        Fault(
            name: "no such model, with a token", json: "{}", token: "hf_x", model: "org/other", status: 12,
            code: "model_not_found", says: "no such model"),
        Fault(
            name: "no such revision", json: "{}", model: "org/nano@v9", status: 12, code: "model_not_found",
            says: "no revision v9"),
        Fault(name: "a login page", json: #"{"login": true}"#, status: 16, code: "network", says: "not JSON"),
        Fault(
            name: "always too many requests",
            json: #"{"status": {"api": [[429, {"Retry-After": "900"}], [429, {"Retry-After": "900"}]]}}"#,
            status: 16,
            code: "network", says: "429"),
        Fault(
            name: "a file outside of the model",
            json:
                #"{"entry": {"type": "file", "path": "../x", "size": 1, "oid": "\#(String(repeating: "0", count: 40))"}}"#,
            status: 16, code: "network", says: "an entry of the list of files is invalid"),
        Fault(
            name: "endless pages", json: #"{"pages": true}"#, status: 16, code: "network",
            says: "the list of files does not end"),
        Fault(
            name: "always changed", json: #"{"change": {"model.safetensors": -1}}"#, status: 16,
            code: "damaged_download", says: "another hash"),
        Fault(
            name: "a small file always changed", json: #"{"change": {"tokenizer.json": -1}}"#, status: 16,
            code: "damaged_download", says: "tokenizer.json"),
        Fault(
            name: "too short", json: #"{"size": {"model.safetensors": 9}}"#, status: 16, code: "damaged_download",
            says: "the server has 9 bytes"),
        Fault(
            name: "too long", json: #"{"size": {"model.safetensors": 99000000}}"#, status: 16,
            code: "damaged_download", says: "the server has 99000000 bytes"),
        Fault(
            name: "endless", json: #"{"endless": ["model.safetensors"]}"#, status: 16, code: "damaged_download",
            says: "sends more than"),
        Fault(
            name: "the other host is not there", json: #"{"location": "http://localhost:9/x"}"#, status: 16,
            code: "network", says: "localhost:9"),
        Fault(
            name: "a redirect to a file", json: #"{"location": "file:///etc/passwd"}"#, status: 16, code: "network",
            says: "not supported"),
    ])
    func `every fault has one line and one status`(_ fault: Fault) throws {
        let hub = try HubServer()
        var tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        try hub.set(fault.faults)
        tool.environment["HF_TOKEN"] = fault.token
        let result = try tool.run("model", "pull", fault.model, "-q")
        #expect(result.status == fault.status, "\(result.errors)")
        #expect(result.text.isEmpty)
        let lines = result.errors.split(separator: "\n")
        #expect(lines.count == 1 && lines[0].contains(fault.says), "\(result.errors)")
        #expect(!result.errors.contains("hf_"))
        let json = try tool.run("model", "pull", fault.model, "--json").exitError()
        #expect(json["error"] as? String == fault.code, "\(json)")
        // Nothing that was refused is taken for a file, and no name leads to what is incomplete.
        #expect(!tool.exists("hf/hub/models--org--nano/refs/main"))
        for blob in tool.files(below: tool.cached(HubServer.model) + "/blobs") where fault.code == "damaged_download" {
            #expect(!blob.hasSuffix(".incomplete"), "\(blob)")
        }
        // When the fault is over the next run completes the model.
        guard fault.model == HubServer.model else { return }
        try hub.set(fault.token == nil ? [:] : ["token": "hf_wrong"])
        #expect(try tool.run("model", "pull", fault.model).status == 0)
        try tool.expectComplete()
    }

    @Test(arguments: [
        #"{"cut": {"model.safetensors": [1, 100000, 300000, 2, 500000]}}"#,
        #"{"cut": {"model.safetensors": [100000, 5]}, "no_range": true}"#,
        #"{"cut": {"model.safetensors": [100000]}, "range_416": 1}"#,
        #"{"change": {"model.safetensors": 1}}"#,
        #"{"cut": {"config.json": [5], "tokenizer.json": [1000]}}"#,
        #"{"status": {"api": [[429, {"Retry-After": "1"}], 503], "model.safetensors": [[503, {"Retry-After": "0"}]]}}"#,
    ])
    func `what passes is tried again`(faults: String) throws {
        let hub = try HubServer()
        let tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        try hub.set(#require(try JSONSerialization.jsonObject(with: Data(faults.utf8)) as? [String: Any]))
        let result = try tool.run("model", "pull", HubServer.model)
        #expect(result.status == 0, "\(result.errors)")
        try tool.expectComplete()
        if faults.contains("300000") {
            let ranges = try hub.requests().filter { $0.host == "cdn" }.compactMap(\.range)
            #expect(ranges.contains("bytes=1-") && ranges.contains("bytes=100001-"), "\(ranges)")
        }
    }

    @Test func `no network, and a hub that is not there`() throws {
        var tool = try Tool(model: false)
        defer { tool.remove() }
        tool.environment["HF_HOME"] = tool.path("hf")
        for address in ["http://127.0.0.1:9", "http://hub.invalid"] {
            tool.environment["HF_ENDPOINT"] = address
            let result = try tool.run("model", "pull", HubServer.model, "-q")
            #expect(result.status == 16, "\(result.errors)")
            #expect(
                result.errors.split(separator: "\n").count == 1 && result.errors.contains(address), "\(result.errors)")
        }
        for (name, value) in [("HF_ENDPOINT", "ftp://127.0.0.1"), ("HF_HUB_ETAG_TIMEOUT", "soon"), ("HF_TOKEN", "a b")]
        {
            var other = tool
            other.environment[name] = value
            let result = try other.run("model", "pull", HubServer.model)
            #expect(result.status == 64 && result.errors.contains(name), "\(result.errors)")
        }
        tool.environment["HF_HUB_OFFLINE"] = "1"
        let offline = try tool.run("model", "pull", HubServer.model)
        #expect(offline.status == 12 && offline.errors.contains("HF_HUB_OFFLINE"), "\(offline.errors)")
    }

    /// A hub on another machine, by a proxy: here this hub plays the proxy, which sees what goes over http.
    @Test func `proxies are used, and the token is not sent without encryption`() throws {
        let hub = try HubServer()
        var tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        tool.environment["HF_ENDPOINT"] = "http://hub.invalid"
        tool.environment["HF_TOKEN"] = "hf_secret"
        tool.environment["http_proxy"] = hub.address
        let result = try tool.run("model", "pull", HubServer.model)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors.contains("the access token is not sent to http://hub.invalid"), "\(result.errors)")
        #expect(!result.errors.contains("hf_secret"))
        let requests = try hub.requests()
        #expect(requests.contains { $0.path.hasPrefix("http://hub.invalid/") }, "\(requests)")
        #expect(requests.allSatisfy { $0.authorization == nil })
        try tool.expectComplete()
    }
}

/// Downloads that are interrupted; `make test-long` does it more often.
@Suite struct PullInterruptionTests {
    @Test func `a download that is interrupted at random ends in the same bytes`() throws {
        let hub = try HubServer()
        let tool = try hub.tool()
        defer {
            hub.stop()
            tool.remove()
        }
        let count = LongRun.count(of: 50) ?? 5
        let seed = UInt64.random(in: 0...UInt64.max)
        var numbers = SeededNumbers(state: seed)
        for round in 0..<count {
            // Connections that end after up to 3 MB, in a download of 10 MB that takes at least half a second.
            try hub.set(["every": 3_000_000, "pause": 0.003])
            let pull = try Child(tool, "model", "pull", HubServer.model, "-q")
            usleep(UInt32.random(in: 0...600_000, using: &numbers))
            pull.send(round % 3 == 0 ? SIGINT : SIGKILL)
            let result = pull.end()
            // A signal that comes before its handler is there ends the program too.
            #expect([0, 130, 256 + SIGKILL, 256 + SIGINT].contains(result.status), "seed \(seed): \(result.errors)")
            if result.status == 0 {
                try tool.expectComplete()
                try FileManager.default.removeItem(atPath: tool.path("hf"))
            }
        }
        try hub.set(["every": 3_000_000])
        let result = try tool.run("model", "pull", HubServer.model)
        #expect(result.status == 0, "seed \(seed): \(result.errors)")
        try tool.expectComplete()
        #expect(try tool.run("model", "verify").status == 0)
    }

    /// Killed at each of the calls that give a file its name: what a snapshot and the references have is whole and wanted.
    @Test func `a download that is killed leaves no names of its own`() throws {
        let hub = try HubServer()
        defer { hub.stop() }
        for number in [1, 2, 3, 7, 13, 19, 20, 21] {
            let tool = try hub.tool()
            defer { tool.remove() }
            let killed = try Child(
                tool, program: "/usr/bin/strace",
                [
                    "-f", "-qq", "-o", "/dev/null", "-e", "trace=rename,renameat,renameat2", "-e",
                    "inject=rename,renameat,renameat2:error=EIO:signal=KILL:when=\(number)", Tool.executable.path,
                    "model", "pull", HubServer.model, "-q",
                ]
            ).end(limit: 120)
            #expect(killed.status == 256 + SIGKILL, "call \(number): \(killed.errors)")
            for name in HubServer.wanted.keys {
                let folder = tool.cached("org/" + name)
                let files = FileManager.default
                let refs = (try? files.contentsOfDirectory(atPath: folder + "/refs")) ?? []
                #expect(Set(refs).isSubset(of: ["main"]), "call \(number): \(refs)")
                for commit in (try? files.contentsOfDirectory(atPath: folder + "/snapshots")) ?? [] {
                    let names = try files.contentsOfDirectory(atPath: folder + "/snapshots/" + commit)
                    #expect(Set(names).isSubset(of: HubServer.wanted[name] ?? []), "call \(number): \(names)")
                }
            }
            guard number % 3 == 1 else { continue }
            #expect(try tool.run("model", "pull", HubServer.model, "-q").status == 0)
            try tool.expectComplete()
        }
    }

    @Test(.enabled(if: SmallDisk.isPossible)) func `a full disk is reported before and during a download`() throws {
        let hub = try HubServer()
        var tool = try hub.tool()
        let disk = try SmallDisk(size: "16m")
        defer {
            hub.stop()
            disk.remove()
            tool.remove()
        }
        tool.environment["HF_HOME"] = disk.path
        try disk.fill(leaving: 4 << 20)
        let refused = try tool.run("model", "pull", HubServer.model, "--json")
        #expect(refused.status == 13)
        #expect(try refused.exitError()["error"] as? String == "not_enough_disk")
        #expect(refused.errors.contains("free: make room"), "\(refused.errors)")
        #expect(try !hub.requests().contains { $0.host == "cdn" })
        disk.empty()
        // The disk fills up while the download runs.
        try hub.set(["pause": 0.01])
        let pull = try Child(tool, "model", "pull", HubServer.model, "-q")
        try pull.wait("a weight file") { (try? hub.requests().contains { $0.host == "cdn" }) ?? false }
        try disk.fill()
        let result = pull.end()
        #expect(result.status == 13, "\(result.errors)")
        #expect(result.errors.contains("what is downloaded so far is kept"), "\(result.errors)")
        disk.empty()
        try hub.set([:])
        #expect(try tool.run("model", "pull", HubServer.model).status == 0)
        #expect(try tool.run("model", "verify").status == 0)
    }
}
