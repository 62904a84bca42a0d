internal import Foundation
internal import Glibc
internal import Media
internal import Store
internal import Tensors

/// The machine's measured capabilities, and what is missing with the command that fixes it.
package struct DoctorReport: Sendable, Codable {
    /// The measured speed of large matrix products.
    package struct Peak: Sendable, Codable {
        /// "f32", "bf16" or "int8".
        package let precision: String
        /// "onednn", "openblas", or "longtake" for the program's own integer products.
        package let backend: String
        /// 10⁹ operations per second, in floating point or in integers.
        package let gigaflops: Double
    }

    /// A fault and its fix.
    package struct Problem: Sendable, Codable {
        /// What is wrong, one sentence.
        package let what: String
        /// A command, or an instruction.
        package let fix: String
    }

    /// The program's version.
    package var version = Longtake.version
    /// The processor's model name.
    package var cpu = ""
    /// Active processor cores.
    package var cores = 0
    /// Compute threads that are used.
    package var threads = 0
    /// The processor's SIMD and matrix flags, as in /proc/cpuinfo.
    package var features: [String] = []
    /// Name of the kernel table in use; "none" if the CPU runs none of them.
    package var kernels = ""
    /// Names of the kernel tables that this CPU runs.
    package var kernelsAvailable: [String] = []
    /// Versions of the libraries by name.
    package var libraries: [String: String] = [:]
    /// Speed per backend and precision.
    package var peaks: [Peak] = []
    /// MemTotal of /proc/meminfo, in bytes.
    package var memoryBytes: Int64 = 0
    /// MemAvailable of /proc/meminfo, in bytes.
    package var availableMemoryBytes: Int64 = 0
    /// Path of the cache folder.
    package var cacheFolder = ""
    /// Free bytes of the cache folder's file system; nil if the folder cannot be used.
    package var cacheFreeBytes: Int64?
    /// True if the kernel accepts the decode worker's system call filter; nil if no worker starts.
    package var workerIsFiltered: Bool?
    /// Landlock version that the decode worker uses; 0 if the kernel has none.
    package var landlock: Int?
    /// True if LONGTAKE_NO_SECCOMP is set: then recordings are decoded even if the kernel refuses the filter.
    package var allowsNoFilter = false
    /// What is missing, with fixes.
    package var problems: [Problem] = []

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

    /// Inspects and measures the machine; takes about a second.
    package init(cacheFolder: String, threads: Int) {
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
        checkWorker()
        if !Backend.hasOneDNN {
            problems.append(
                Problem(
                    what: "this build has no oneDNN: matrix products use OpenBLAS, in f32 only",
                    fix: "apt-get install libdnnl-dev && swift build -c release"))
        }
    }

    private mutating func checkWorker() {
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
                    what: "LONGTAKE_NO_SECCOMP is set, but this kernel accepts the filter",
                    fix: "unset LONGTAKE_NO_SECCOMP"))
        }
    }

    private mutating func readProcessor() {
        let processor = Processor()
        (cpu, features) = (processor.name, processor.features)
    }

    /// Measures a 512 × 1024 × 1024 product in each backend and precision: the best time in floating point, the median
    /// in integers.
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
        guard let compute = try? Compute(precision: .f32, threads: threads) else { return }
        let integers = [
            ("longtake", try? compute.measureQuantized(.int8, rows: 512, inputs: 1024, outputs: 1024)),
            (Backend.oneDNN.rawValue, compute.measureLibraryInt8(rows: 512, inputs: 1024, outputs: 1024)),
        ]
        for case (let backend, let speed?) in integers {
            peaks.append(Peak(precision: "int8", backend: backend, gigaflops: (speed / 1e8).rounded() / 10))
        }
    }

    private static func meminfo(_ key: String) -> Int64 {
        let text = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(key) }
        return (line.flatMap { Int64($0.filter(\.isNumber)) } ?? 0) << 10
    }
}
