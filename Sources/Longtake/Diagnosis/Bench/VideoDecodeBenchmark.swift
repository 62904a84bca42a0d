internal import Glibc
internal import Media

/// Measures decoding: from a recording to frames as a model takes them.
package struct VideoDecodeBenchmark {
    private let cancellation: Cancellation

    /// Creates the benchmark.
    package init(cancellation: Cancellation) { self.cancellation = cancellation }

    /// Runs the benchmark.
    ///
    /// - Parameter side: side of the frames in pixels.
    /// - Throws: `MediaError`; `LongtakeError` `interrupted` or `bad_request`.
    package func run(_ path: InputPath, options: IndexOptions, side: Int, runs: Int) throws -> BenchReport {
        guard (14...4096).contains(side) else {
            throw LongtakeError(code: .badRequest, message: "a side of \(side) pixels; use 14 to 4096")
        }
        try options.validate()
        var request = options.request(.model(ImagePreprocessing.clip(side: side), resolutionRatio: 1))
        request.measuresStages = true
        let cpus = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var (frames, bytes) = (0, 0)
        var loads: [(seconds: Double, cores: Double)] = []
        let measured = try BenchRuns(runs, cancellation) {
            let file = try path.open(cancellation: cancellation)
            let (start, cpu) = (ContinuousClock.now, Self.processorSeconds)
            let stream = try FrameStream(file, request: request) { [cancellation] in cancellation.isCancelled }
            defer { stream.cancel() }
            var (frame, count) = (Frame(), 0)
            while try stream.next(into: &frame) { count += 1 }
            let seconds = (ContinuousClock.now - start).seconds
            (frames, bytes) = (count, Int(stream.result.counters.bytesRead))
            loads.append((seconds, (Self.processorSeconds - cpu) / seconds))
            return BenchRuns.Run(seconds: seconds, parts: Self.parts(stream.result.stages, of: seconds))
        }
        guard frames > 0 else { throw LongtakeError(code: .badRequest, message: "\(path): no frames") }
        var report = BenchReport(
            "video-decode", subject: path.description, unit: "frame", count: frames, runs: measured,
            machine: BenchMachine(threads: request.resolvingThreads(cpus: cpus).threads))
        report.set(bytes: Double(bytes) / Double(frames), peak: nil)
        let cores = loads.first { $0.seconds == measured.median.seconds }?.cores ?? 0
        report.cores = cores
        report.shareOfPeak = min(1, cores / Double(cpus))
        report.notes = [
            "\(counted(frames, "frame")) of \(side)×\(side); the share of the peak is that of all cores' time"
        ]
        return report
    }

    /// The worker's stages, and the time before and after them.
    private static func parts(_ stages: DecodeStages?, of seconds: Double) -> [String: Double] {
        var parts: [String: Double] = [:]
        for stage in DecodeStages.Stage.allCases { parts[stage.rawValue] = stages?[stage] ?? 0 }
        parts["starting and ending the worker"] = max(0, seconds - (stages?.total ?? seconds))
        return parts
    }

    /// CPU seconds of this process, and of its children and decode workers that have ended.
    private static var processorSeconds: Double {
        [RUSAGE_SELF, RUSAGE_CHILDREN].reduce(DecodeWorker.usage.cpuSeconds) { sum, who in
            var usage = rusage()
            getrusage(__rusage_who_t(who.rawValue), &usage)
            let (user, system) = (usage.ru_utime, usage.ru_stime)
            return sum + Double(user.tv_sec + system.tv_sec) + Double(user.tv_usec + system.tv_usec) * 1e-6
        }
    }
}
