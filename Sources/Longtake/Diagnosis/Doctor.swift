internal import Foundation
internal import Glibc
internal import Media
internal import Store
internal import Tensors

/// What this machine has for Longtake, measured, and what is missing with the command that fixes it.
public struct DoctorReport: Sendable, Codable {
    public struct Peak: Sendable, Codable {
        public let precision: String
        public let backend: String
        public let gigaflops: Double
    }

    public struct Problem: Sendable, Codable {
        public let what: String
        public let fix: String
    }

    public var version = Longtake.version
    public var cpu = ""
    public var cores = 0
    public var threads = 0
    public var features: [String] = []
    public var kernels = ""
    public var kernelsAvailable: [String] = []
    public var libraries: [String: String] = [:]
    public var peaks: [Peak] = []
    public var memoryBytes: Int64 = 0
    public var availableMemoryBytes: Int64 = 0
    public var cacheFolder = ""
    public var cacheFreeBytes: Int64?
    /// Whether the kernel takes the decode worker's system call filter; nil where no worker starts.
    public var workerIsFiltered: Bool?
    /// The version of Landlock that the decode worker uses; 0 where the kernel has none.
    public var landlock: Int?
    /// LONGTAKE_NO_SECCOMP is set: where the kernel refuses the filter, recordings are decoded without one.
    public var allowsNoFilter = false
    public var problems: [Problem] = []

    private enum CodingKeys: String, CodingKey {
        case version, cpu, cores, threads, features, kernels, libraries, peaks, problems
        case kernelsAvailable = "kernels_available"
        case memoryBytes = "memory_bytes"
        case availableMemoryBytes = "available_memory_bytes"
        case cacheFolder = "cache_folder"
        case cacheFreeBytes = "cache_free_bytes"
        case workerIsFiltered = "worker_is_filtered"
        case landlock
        case allowsNoFilter = "allows_no_filter"
    }

    /// Looks and measures; takes about a second.
    public init(cacheFolder: String, threads: Int) {
        cores = ProcessInfo.processInfo.activeProcessorCount
        self.threads = threads
        self.cacheFolder = cacheFolder
        readProcessor()
        kernels = Kernels()?.name ?? "none"
        kernelsAvailable = Kernels.available
        for (name, version) in MediaLibraries.versions { libraries[name] = version }
        measure()
        memoryBytes = Self.meminfo("MemTotal:")
        availableMemoryBytes = Self.meminfo("MemAvailable:")
        if let cache = try? CacheDirectory(path: cacheFolder) {
            cacheFreeBytes = try? cache.freeBytes()
        } else {
            problems.append(
                Problem(
                    what: "the cache folder \(cacheFolder) cannot be made or is open to others",
                    fix: "mkdir -p '\(cacheFolder)' && chmod 700 '\(cacheFolder)', or set LONGTAKE_CACHE_DIR"))
        }
        if let free = cacheFreeBytes, free < 2 << 30 {
            problems.append(
                Problem(what: "less than 2 GiB free for the cache", fix: "set LONGTAKE_CACHE_DIR to a larger disk"))
        }
        if let missing = MediaLibraries.missing {
            problems.append(
                Problem(what: "FFmpeg's libraries cannot be loaded: \(missing)", fix: "apt-get install ffmpeg"))
        }
        lookAtWorker()
        if !Backend.hasOneDNN {
            problems.append(
                Problem(
                    what: "this build has no oneDNN: products run in OpenBLAS, f32 only",
                    fix: "apt-get install libdnnl-dev && swift build -c release"))
        }
    }

    private mutating func lookAtWorker() {
        do {
            let state = try DecodeWorker.sandbox()
            (workerIsFiltered, landlock) = (state.isFiltered, state.landlock)
        } catch {
            problems.append(Problem(what: "the decode worker does not start: \(error)", fix: "see docs/security.md"))
        }
        allowsNoFilter = DecodeWorker.allowsNoFilter
        if workerIsFiltered == false {
            problems.append(
                Problem(
                    what: allowsNoFilter
                        ? "this kernel refuses system call filters; recordings are decoded without one"
                        : "this kernel refuses system call filters, so nothing is decoded",
                    fix: "allow seccomp(2) in the container, or set LONGTAKE_NO_SECCOMP=1 for files that you trust"))
        } else if allowsNoFilter {
            problems.append(
                Problem(
                    what: "LONGTAKE_NO_SECCOMP is set, but this kernel takes the filter",
                    fix: "unset LONGTAKE_NO_SECCOMP"))
        }
    }

    private mutating func readProcessor() {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2 else { continue }
            if parts[0] == "model name", cpu.isEmpty { cpu = parts[1] }
            if parts[0] == "flags", features.isEmpty {
                let wanted: Set = [
                    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni",
                    "avx512_bf16",
                    "amx_bf16", "amx_int8",
                ]
                features = parts[1].split(separator: " ").map(String.init).filter { wanted.contains($0) }
            }
        }
    }

    /// 512 × 1024 × 1024 products, the best of some.
    private mutating func measure() {
        for (backend, precision) in [
            (Backend.oneDNN, DType.f32), (.oneDNN, .bf16), (.openBLAS, .f32), (.openBLAS, .bf16),
        ] {
            guard let compute = try? Compute(precision: precision, backend: backend, threads: threads) else { continue }
            libraries[backend.rawValue] = compute.libraryVersion
            let speed = compute.measurePeak()
            peaks.append(
                Peak(precision: precision.rawValue, backend: backend.rawValue, gigaflops: (speed / 1e8).rounded() / 10))
        }
    }

    private static func meminfo(_ key: String) -> Int64 {
        let text = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
        return (line.flatMap { Int64($0.filter(\.isNumber)) } ?? 0) << 10
    }
}
