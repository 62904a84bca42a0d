import Checkpoints
import Foundation
import Testing

@Suite struct MemoryBudgetTests {
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
