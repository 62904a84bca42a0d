/// What the parent asks of the decode worker for one recording.
public struct FrameRequest: Sendable, Codable, Equatable {
    /// The rule that picks frames.
    public enum Sampling: String, Sendable, Codable, CaseIterable {
        /// The frame being shown at t = 0, 1/fps, 2/fps … from the first presented frame.
        case grid
        /// The frame indices of the reference implementation: the middle of each second.
        case reference
        /// The key frames only, each at its own time.
        case keyframes
    }

    /// What the worker sends.
    public enum Output: Sendable, Codable, Equatable {
        /// No frames, only the metadata of the file.
        case probe
        /// The file is a still image: sends its one frame, as PIL would decode it.
        case image
        /// Does not read the file: reports which kernel restrictions the worker could apply to itself.
        case sandbox
        /// Frames as decoded: upright, with square pixels.
        case native
        /// Frames as the model takes them, each as one or more square images (`ImagePreprocessing.frameParts`).
        case model(ImagePreprocessing, resolutionRatio: Int)
    }

    /// A single frame, selected by its presentation time.
    public struct Still: Sendable, Codable, Equatable {
        /// The index to send it with.
        public var index: Int
        /// Presentation time of the frame in the stream's time base.
        public var pts: Int64

        /// Creates a request for one frame.
        public init(index: Int, pts: Int64) {
            self.index = index
            self.pts = pts
        }
    }

    /// What the worker sends.
    public var output: Output
    /// Sends only these frames, as decoded, by ascending index; omits those that seeking does not find for certain.
    public var stills: [Still]?
    /// Sends no frames, and copies packets into the worker's output file instead.
    package var clip: ClipRequest?
    /// Sampling rate.
    public var framesPerSecond = 1.0
    /// The rule that picks frames.
    public var sampling = Sampling.grid
    /// Index of a stream of the container; nil selects the default video stream, then the largest.
    public var stream: Int?
    /// Frames before this index are decoded but not sent, because the caller already has them.
    public var firstIndex = 0
    /// Codec threads; 0 takes two per CPU, at most 8. Each takes the memory of a few frames.
    public var threads = 0
    /// Decodes every frame, with one thread: the sampled frames are the same.
    package var decodesAll = false
    /// Maximum pixels of a frame.
    public var maxPixels = 8192 * 8192
    /// Maximum seconds of the recording that are sampled.
    public var maxDuration = 24.0 * 3600
    /// Maximum number of sampled frames.
    public var maxFrames = 10_000_000
    /// Longest gap, in seconds, over which a frame is repeated; a longer gap is a discontinuity.
    public var maxGap = 4.0 * 3600
    /// Keeps frames that the decoder flags as damaged.
    public var keepCorrupt = false
    /// Seconds without progress after which the worker is stopped.
    public var watchdog = 60.0
    /// Address space of the worker in bytes; 0 for no limit.
    public var memoryLimit = 4 << 30
    /// Whether the result has the time of each stage; nil: no.
    package var measuresStages: Bool?
    /// The CPU time that decoding may take.
    package var cpuRates = CPUBudget.Rates()
    /// Decodes without a system call filter if the kernel refuses filters.
    var allowsNoFilter = false

    /// Creates a request with default limits.
    public init(output: Output) { self.output = output }

    /// True if nothing may be skipped and one thread decodes.
    var decodesInFull: Bool { decodesAll || sampling == .keyframes }

    /// A copy with the number of codec threads for a machine with `cpus` CPUs.
    package func resolvingThreads(cpus: Int) -> FrameRequest {
        var request = self
        let isStream: Bool
        switch output {
        case .probe, .image, .sandbox: isStream = false
        // Stills are sought one by one, and damage in them must be noticed.
        case .native, .model: isStream = stills == nil && clip == nil
        }
        if decodesInFull || !isStream {
            request.threads = 1
        } else if threads <= 0 {
            // Frame threads wait for rows of earlier frames, so that there must be more of them than CPUs.
            request.threads = cpus > 1 ? min(2 * cpus, 8) : 1
        }
        return request
    }

    /// CPU seconds after which the kernel ends the worker.
    var mostCPUSeconds: Int {
        switch output {
        case .probe, .image, .sandbox: 120
        case .native, .model: CPUBudget.most(self)
        }
    }
}
