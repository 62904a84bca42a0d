import Foundation
import Glibc
import Testing

/// Too few descriptors, processes or threads: an error that names the limit, never a signal and never a wait without end.
@Suite struct LimitTests {
    @Test func `too few open files are told, and leave a cache that is whole`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        var (failed, done) = (0, 0)
        for limit in [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 20, 30, 40] {
            var own = tool
            own.environment["LONGTAKE_CACHE_DIR"] = tool.path("cache-\(limit)")
            own.environment["LONGTAKE_DATA_DIR"] = tool.path("data-\(limit)")
            let result = try Child(own, shell: "ulimit -n \(limit); exec \"$0\" index \"$1\"", [video]).end()
            // 12: not even the model can be read.
            #expect([0, 1, 12, 13, 14].contains(result.status), "\(limit): \(result.status) \(result.errors)")
            if result.status == 0 {
                done += 1
            } else {
                failed += 1
                #expect(result.errors.contains("Too many open files"), "\(limit): \(result.errors)")
            }
            #expect(try own.run("index", video).status == 0, "after a limit of \(limit)")
            try own.verify()
        }
        #expect(failed > 0 && done > 0, "\(failed) \(done)")
    }

    /// A user of its own, for the limit counts all that a user runs; root has no such limit.
    private static let canLimit =
        getuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0 && access("/usr/bin/prlimit", X_OK) == 0

    @Test(.enabled(if: canLimit)) func `too few threads are told`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try #require(chmod(tool.folder.path, 0o777) == 0)
        let video = try Fixtures.video.get()
        let user = 2_000_000 + Int(getpid() % 100_000)
        var said: [String] = []
        for limit in 1...7 {
            var own = tool
            own.environment["LONGTAKE_CACHE_DIR"] = tool.path("cache-\(limit)")
            own.environment["LONGTAKE_DATA_DIR"] = tool.path("data-\(limit)")
            own.environment["OMP_NUM_THREADS"] = "1"
            func run(_ limit: Int?, _ command: String) throws -> Tool.Result {
                let prefix =
                    "exec setpriv --reuid=\(user) --regid=\(user) --clear-groups "
                    + (limit.map { "prlimit --nproc=\($0) " } ?? "")
                return try Child(own, shell: prefix + "\"$0\" " + command, [video]).end()
            }
            let result = try run(limit, "index \"$1\" --threads 1")
            #expect(result.status < 128, "\(limit): \(result.status) \(result.errors)")
            guard result.status != 0 else { continue }
            #expect(result.errors.contains("Resource temporarily unavailable"), "\(limit): \(result.errors)")
            said.append(result.errors)
            #expect(try run(nil, "index \"$1\"").status == 0, "after a limit of \(limit)")
            #expect(try run(nil, "cache verify --read-data").status == 0)
        }
        // OpenMP ends a process by itself where it has no thread; the decoder and its thread are ours.
        #expect(said.contains { $0.contains("ulimit -u") }, "\(said)")
    }

    static let low: [(option: String, values: [Int])] = [
        ("-v", [300_000, 350_000, 400_000, 600_000]), ("-d", [50_000, 300_000]), ("-s", [128, 256, 512]),
        ("-n", [8, 12]),
    ]

    @Test(arguments: low)
    func `too little memory, stack or files ends in 13 with what is missing`(option: String, values: [Int]) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        for value in values {
            for command in ["ask \"$1\" 'What is it?'", "index \"$1\"", "search circle"] {
                let result = try Child(tool, shell: "ulimit \(option) \(value); exec \"$0\" \(command)", [video]).end()
                #expect(result.status == 13, "\(option) \(value) \(command): \(result.status) \(result.errors)")
                #expect(result.errors.contains("ulimit \(option)"), "\(option) \(value): \(result.errors)")
            }
        }
        if option == "-s" {
            for command in ["ls", "--version"] {
                let result = try Child(tool, shell: "ulimit -s 64; exec \"$0\" \(command)").end()
                #expect(result.status == 13 && result.errors.contains("128 KiB are needed"), "\(result.errors)")
            }
        }
        // What neither computes nor decodes does with little.
        if option == "-v" {
            for command in ["ls", "--version"] {
                #expect(
                    try Child(tool, shell: "ulimit -v 350000; exec \"$0\" \(command)").end().status == 0, "\(command)")
            }
        }
    }

    @Test(arguments: [4_000_000, 6_800_000]) func `a model larger than the address space ends in 13`(limit: Int) throws
    {
        var tool = try Tool()
        defer { tool.remove() }
        // One tensor more, of 6 GB that take no room on the disk.
        let model = tool.path("large")
        let own = try #require(tool.environment["LONGTAKE_MODEL"])
        try FileManager.default.copyItem(atPath: own, toPath: model)
        let file = URL(filePath: model + "/model.safetensors")
        let whole = try Data(contentsOf: file)
        let length = whole.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        var header = try #require(
            try JSONSerialization.jsonObject(with: whole[8..<8 + length]) as? [String: Any])
        let (end, more) = (whole.count - 8 - length, 6_000_000_000)
        header["extra"] = ["dtype": "BF16", "shape": [3, more / 6], "data_offsets": [end, end + more]]
        let text = try JSONSerialization.data(withJSONObject: header)
        let head = Data((0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) })
        try (head + text + whole[(8 + length)...]).write(to: file)
        let handle = try FileHandle(forWritingTo: file)
        try handle.truncate(atOffset: UInt64(8 + text.count + end + more))
        try handle.close()
        tool.environment["LONGTAKE_MODEL"] = model
        let result = try Child(
            tool, shell: "ulimit -v \(limit); exec \"$0\" ask \"$1\" 'What is it?'", [try Fixtures.video.get()]
        ).end()
        #expect(result.status == 13 && result.errors.contains("ulimit -v"), "\(result.status) \(result.errors)")
    }

    @Test(.enabled(if: canLimit)) func `a user with too few threads is told how many are needed`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try #require(chmod(tool.folder.path, 0o777) == 0)
        let video = try Fixtures.video.get()
        let user = 2_200_000 + Int(getpid() % 100_000)
        for limit in [1, 2, 4, 6, 9, 12] {
            let prefix = "exec setpriv --reuid=\(user) --regid=\(user) --clear-groups prlimit --nproc=\(limit) "
            let result = try Child(tool, shell: prefix + "\"$0\" ask \"$1\" 'What is it?'", [video]).end()
            #expect(
                result.status == 13 || (result.status == 0 && limit > 4), "\(limit): \(result.status) \(result.errors)")
            guard result.status != 0 else { continue }
            #expect(
                result.errors.contains("ulimit -u") && result.errors.contains("are needed"),
                "\(limit): \(result.errors)")
        }
    }
}
