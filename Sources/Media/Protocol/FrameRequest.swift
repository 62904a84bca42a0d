/// What is wanted of a recording, as the decode worker is told.
public struct FrameRequest: Sendable, Codable, Equatable {
    public enum Sampling: String, Sendable, Codable, CaseIterable {
        /// The frame being shown at t = 0, 1/fps, 2/fps … from the first presented one.
        case grid
        /// The reference implementation's frame indices: the middle of each second.
        case reference
    }

    public enum Output: Sendable, Codable, Equatable {
        /// No frames: only what the file is.
        case probe
        /// The file is a still picture: its one frame, as PIL would give it.
        case picture
        /// Nothing of the file: which of the kernel's means the worker could use against itself.
        case sandbox
        /// As decoded: upright, square pixels.
        case native
        /// As the model takes them: `parts` pictures per frame.
        case model(ImagePreprocessing, resolutionRatio: Int)
    }

    /// A single picture: the frame whose own time is `pts` in the stream's time base, to be sent as number `index`.
    public struct Still: Sendable, Codable, Equatable {
        public var index: Int
        public var pts: Int64

        public init(index: Int, pts: Int64) {
            self.index = index
            self.pts = pts
        }
    }

    public var output: Output
    /// Only these pictures, as decoded, by ascending index; those that seeking does not find for certain are not sent.
    public var stills: [Still]?
    public var framesPerSecond = 1.0
    public var sampling = Sampling.grid
    /// Index of a stream of the container; nil: the default video stream, then the largest.
    public var stream: Int?
    /// Frames before this index are decoded but not sent: they are there already.
    public var firstIndex = 0
    /// Codec threads; each costs memory of a few pictures.
    public var threads = 1
    public var maxPixels = 8192 * 8192
    public var maxDuration = 24.0 * 3600
    public var maxFrames = 10_000_000
    /// A picture is repeated over a gap of at most so many seconds; a longer one is a break in the timeline.
    public var maxGap = 4.0 * 3600
    /// Images that the decoder flags as damaged count too.
    public var keepCorrupt = false
    /// Seconds without progress until the worker is stopped.
    public var watchdog = 60.0
    /// 0 for no limit: address space of the worker in bytes.
    public var memoryLimit = 4 << 30
    /// What decoding may cost.
    package var cpuRates = CPUBudget.Rates()
    /// Where the kernel refuses system call filters, decode without one.
    var allowsNoFilter = false

    public init(output: Output) { self.output = output }

    /// CPU seconds after which the kernel ends the worker.
    var mostCPUSeconds: Int {
        switch output {
        case .probe, .picture, .sandbox: 120
        case .native, .model: CPUBudget.most(self)
        }
    }
}
