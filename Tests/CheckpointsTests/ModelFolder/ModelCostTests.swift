import Checkpoints
import Foundation
import Longtake
import Models
import Tensors
import Testing

/// What a model's identity, its cost and the memory for it are.
@Suite("Model cost") struct ModelCostTests {
    @Test("the identity changes with a weight at a tensor's beginning and with the configuration, not with the place")
    func identity() throws {
        try withNano { folder in
            func identity(_ folder: String) throws -> [UInt8] {
                var bytes: [UInt8] = []
                try CheckpointFolder(path: folder, environment: [:]).identityBytes { bytes += $0 }
                return bytes
            }
            let first = try identity(folder)
            #expect(try identity(folder) == first)
            #expect(first.count < 16 << 20)
            try withNano { other in
                let moved = try identity(other)
                #expect(moved == first)
            }

            // One byte at the middle of the first KiB of a tensor in the middle of the file.
            for (file, name) in [
                ("model.safetensors", "model.layers.2.mlp.up_proj.weight"),
                ("vision_tower/model.safetensors", "vision_model.encoder.layers.1.mlp.fc1.weight"),
            ] {
                let checkpoint = try CheckpointFolder(path: folder, environment: [:])
                let tensors = checkpoint.weights.tensors.merging(checkpoint.towerTensors) { old, _ in old }
                let bytes = try Data(#require(tensors[name]).bytes.prefix(1024))
                let url = URL(filePath: "\(folder)/\(file)")
                let whole = try Data(contentsOf: url)
                let place = try #require(whole.range(of: bytes)).lowerBound + 512
                var changed = whole
                changed[place] ^= 1
                try changed.write(to: url)
                #expect(try identity(folder) != first, "\(name)")
                try whole.write(to: url)
                #expect(try identity(folder) == first)
            }
            for (file, key) in [
                ("config.json", "rope_theta"), ("vision_tower/config.json", "layer_norm_eps"),
                ("vision_tower/preprocessor_config.json", "resample"),
            ] {
                let whole = try Data(contentsOf: URL(filePath: "\(folder)/\(file)"))
                try editConfig(of: folder, file: file) { $0[key] = 0.05 * (key == "rope_theta" ? 1e6 : 1) }
                #expect(try identity(folder) != first, "\(key)")
                try whole.write(to: URL(filePath: "\(folder)/\(file)"))
            }
            try Data("{}".utf8).write(to: URL(filePath: folder + "/special_tokens_map.json"))
            #expect(try identity(folder) == first)
        }
    }

    @Test("llava-mini-8b costs what the paper's model costs")
    func fullSize() throws {
        let cost = RandomCheckpoint.cost(of: .llavaMini8B, type: .bf16)
        let frame = try #require(cost.frame)
        #expect(abs(frame.total / 1.24e12 - 1) < 0.03, "\(frame)")
        let record = try #require(cost.frameRecordBytes)
        #expect(abs(Double(record) / 600_000 - 1) < 0.02, "\(record)")
        #expect(Int64(cost.bytes) == RandomCheckpoint.plannedBytes(.llavaMini8B, type: .bf16))
        #expect(cost.keyValueBytesPerToken == 131_072)
        #expect(cost.parts.map(\.part) == [.language, .prefusion, .compressor, .projector, .vision])
        #expect(cost.loadBytes.f32 > cost.loadBytes.bf16 && cost.loadBytes.bf16 > cost.loadBytes.int8)
        #expect(cost.loadBytes.int8 > cost.loadBytes.int4 && cost.loadBytes.int4 > 4_000_000_000)
    }

    @Test("a checkpoint on disk costs what its shape costs")
    func nano() throws {
        try withNano { folder in
            let stored = ModelCost(try CheckpointFolder(path: folder, environment: [:]))
            #expect(stored == RandomCheckpoint.cost(of: .nano, type: .bf16))
            let text = String(decoding: try JSONEncoder().encode(stored), as: UTF8.self)
            #expect(text.contains("\"kv_bytes_per_token\":1024"))
        }
    }
}

@Suite("Memory budget") struct MemoryBudgetTests {
    private func budget(_ files: [String: String]) throws -> MemoryBudget? {
        try withTemporaryFolder { root in
            for (name, text) in files {
                let url = URL(filePath: "\(root)/\(name)")
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: url)
            }
            return MemoryBudget.read(root: root)
        }
    }

    private let machine = "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\nBuffers: 1 kB\n"
    private let group = "sys/fs/cgroup/user.slice/run"

    @Test("without a control group the machine counts")
    func machineAlone() throws {
        #expect(try budget(["proc/meminfo": machine]) == MemoryBudget(machine: 8_192_000_000))
        #expect(try budget([:]) == nil)
        #expect(try budget(["proc/meminfo": "MemTotal: 5 kB\n"]) == nil)
        #expect(try budget(["proc/meminfo": "MemAvailable: 9223372036854775807 kB\n"]) == nil)
        #expect(try budget(["proc/meminfo": "MemAvailable: x kB\n"]) == nil)
        let unlimited = [
            "proc/meminfo": machine, "proc/self/cgroup": "0::/user.slice/run\n", "\(group)/memory.max": "max\n",
        ]
        #expect(try budget(unlimited)?.group == nil)
    }

    @Test("the tightest group above counts, its file cache does not")
    func version2() throws {
        var files = [
            "proc/meminfo": machine, "proc/self/cgroup": "0::/user.slice/run\n",
            "\(group)/memory.max": "4000000000\n", "\(group)/memory.current": "1500000000\n",
            "\(group)/memory.stat": "anon 1\ninactive_file 500000000\nactive_file 7\n",
        ]
        #expect(try budget(files) == MemoryBudget(machine: 8_192_000_000, group: 3_000_000_000))
        files["sys/fs/cgroup/user.slice/memory.max"] = "2000000000\n"
        files["sys/fs/cgroup/user.slice/memory.current"] = "9000000000\n"
        #expect(try budget(files)?.usable == 0)
        files["sys/fs/cgroup/user.slice/memory.current"] = "500000000\n"
        #expect(try budget(files)?.usable == 1_500_000_000)
    }

    @Test("version 1 of control groups counts as well, its largest number is no limit")
    func version1() throws {
        var files = [
            "proc/meminfo": machine, "proc/self/cgroup": "3:cpu,memory:/a\n2:pids:/b\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
        ]
        #expect(try budget(files)?.group == nil)
        files["sys/fs/cgroup/memory/a/memory.limit_in_bytes"] = "1000000000\n"
        files["sys/fs/cgroup/memory/a/memory.usage_in_bytes"] = "400000000\n"
        files["sys/fs/cgroup/memory/a/memory.stat"] = "total_inactive_file 100000000\n"
        #expect(try budget(files)?.group == 700_000_000)
    }

    @Test("too little memory is refused with both numbers and the reason")
    func check() throws {
        try MemoryBudget(machine: 10).check("the model", needed: 10)
        for (budget, words) in [
            (MemoryBudget(machine: 8_000_000_000), ["16.0 GB", "8.0 GB", "MemAvailable"]),
            (MemoryBudget(machine: 32_000_000_000, group: 2_500_000_000), ["16.0 GB", "2.5 GB", "memory.max"]),
        ] {
            let error = #expect(throws: CheckpointError.self) { try budget.check("the model", needed: 16_000_000_000) }
            #expect(error?.code == .notEnoughMemory)
            for word in words { #expect(error?.message.contains(word) == true, "\(String(describing: error))") }
        }
    }
}
