internal import Tensors

/// The result of one benchmark: speed, its share of the machine's peak, and where the time went.
package struct BenchReport: Sendable, Codable {
    /// A part of the time.
    package struct Part: Sendable, Codable {
        /// What was done; "other" is the time that no named part covers.
        package let name: String
        /// Seconds per unit.
        package let seconds: Double
        /// Share of the time of a unit, 0 to 1.
        package let share: Double
    }

    /// The layers of the language model.
    package struct Layers: Sendable, Codable {
        /// Layers that were computed, each with weights of its own.
        package let measured: Int
        /// Layers of the model; the layers' times, operations and bytes are scaled to them.
        package let of: Int
    }

    /// The subcommand: "frame-path", "prefill" …
    package let benchmark: String
    /// What was measured: "full", "nano", a model's or a recording's name.
    package let subject: String
    /// What the figures are per: "frame", "token", "prompt" or "question".
    package let unit: String
    /// Units per run.
    package let count: Int
    /// Seconds per unit of each run, in order, without the warm-up.
    package let runs: [Double]
    /// Median of `runs`; the lower one of an even number.
    package let seconds: Double
    /// The run's settings and the machine.
    package var machine: BenchMachine
    /// Layers of the language model; nil if it takes no part.
    package var layers: Layers?
    /// Floating-point operations per unit; nil where bytes are counted.
    package var operations: Double?
    /// `operations` / `seconds`.
    package var operationsPerSecond: Double?
    /// Bytes per unit; nil where operations are counted.
    package var bytes: Double?
    /// `bytes` / `seconds`.
    package var bytesPerSecond: Double?
    /// The peak measured in the same run: operations, or bytes read, per second; nil for decoding, which has none.
    package var peak: Double?
    /// The share of the peak; for decoding that of the cores' time.
    package var shareOfPeak: Double?
    /// Cores in use on average; only for decoding.
    package var cores: Double?
    /// Parts of the median run, the longest first, and "other".
    package var parts: [Part] = []
    /// What else must be known to read the figures.
    package var notes: [String] = []

    private enum CodingKeys: String, CodingKey {
        case benchmark, subject, unit, count, runs, seconds, machine, layers, operations, bytes, peak, cores, parts
        case notes
        case operationsPerSecond = "operations_per_second"
        case bytesPerSecond = "bytes_per_second"
        case shareOfPeak = "share_of_peak"
    }

    init(
        _ benchmark: String, subject: String, unit: String, count: Int, runs: BenchRuns, machine: BenchMachine
    ) {
        self.benchmark = benchmark
        self.subject = subject
        self.unit = unit
        self.count = count
        self.machine = machine
        let median = runs.median
        self.runs = runs.all.map { $0.seconds / Double(count) }
        seconds = median.seconds / Double(count)
        parts = median.parts.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map {
            Part(name: $0.key, seconds: $0.value / Double(count), share: $0.value / median.seconds)
        }
        let other = median.seconds - median.parts.values.reduce(0, +)
        parts.append(Part(name: "other", seconds: other / Double(count), share: other / median.seconds))
    }

    /// Sets the operations of a unit and the peak that they are compared with.
    mutating func set(operations: Double, peak: Double) {
        (self.operations, self.peak) = (operations, peak)
        operationsPerSecond = operations / seconds
        shareOfPeak = operations / seconds / peak
    }

    /// Sets the bytes that a unit reads and the peak that they are compared with.
    mutating func set(bytes: Double, peak: Double?) {
        (self.bytes, self.peak) = (bytes, peak)
        bytesPerSecond = bytes / seconds
        shareOfPeak = peak.map { bytes / seconds / $0 }
    }
}

/// The machine and the settings of a benchmark.
package struct BenchMachine: Sendable, Codable {
    /// Version of the program.
    package var version = Longtake.version
    /// Model name of the processor.
    package var cpu: String
    /// Its class, such as "AVX-512 with VNNI and BF16".
    package var cpuClass: String
    /// Compute threads, or decoder threads.
    package var threads: Int
    /// The precision; nil for decoding.
    package var precision: String?
    /// Name and version of the matrix library; nil for decoding.
    package var library: String?
    /// Name of the kernel table; nil for decoding.
    package var kernels: String?

    private enum CodingKeys: String, CodingKey {
        case version, cpu, threads, precision, library, kernels
        case cpuClass = "cpu_class"
    }

    init(threads: Int) {
        let processor = Processor()
        (cpu, cpuClass, self.threads) = (processor.name, processor.cpuClass, threads)
    }

    init(_ compute: Compute, precision: String) {
        self.init(threads: compute.threadPool.threadCount)
        self.precision = precision
        library = compute.libraryVersion
        kernels = compute.kernels.name
    }
}

/// Repeats a measurement: once to warm up unless everything is warm, then `count` times.
struct BenchRuns {
    /// The time of one run and of its named parts, in seconds.
    struct Run {
        var seconds: Double
        var parts: [String: Double]
    }

    private(set) var all: [Run] = []

    /// - Throws: `LongtakeError` `bad_request` for a number of runs out of range, `interrupted` between runs.
    init(_ count: Int, warmsUp: Bool = true, _ cancellation: Cancellation, _ body: () throws -> Run) throws {
        guard (1...1000).contains(count) else {
            throw LongtakeError(code: .badRequest, message: "\(count) runs; use 1 to 1000")
        }
        for run in (warmsUp ? 0 : 1)...count {
            try cancellation.check()
            let result = try body()
            if run > 0 { all.append(result) }
        }
    }

    /// The run with the median time; of an even number the faster of the two in the middle.
    var median: Run { all.sorted { $0.seconds < $1.seconds }[(all.count - 1) / 2] }
}
