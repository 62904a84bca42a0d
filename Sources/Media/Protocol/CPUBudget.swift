import Foundation
import Glibc

/// The CPU seconds the worker may use, given what it has read and sent.
///
/// Counts CPU time, so that a busy machine does not matter. The parent computes it from the file size and from what it
/// has received; of the worker's claims it uses only the frame size and rate, both clamped.
package struct CPUBudget: Sendable {
    /// Upper bounds on the cost of decoding: estimates, chosen far above what decoders take on old CPUs.
    package struct Rates: Sendable, Codable, Equatable {
        /// CPU seconds for starting, and for reading the container's index.
        package var start = 60.0
        /// CPU seconds per million bytes read: a larger recording may cost more.
        package var perMegabyte = 1.0
        /// CPU seconds per second of the recording, whatever its frame size.
        package var perSecond = 4.0
        /// CPU seconds per million pixels shown in a second of the recording.
        package var perMegapixel = 0.2
        /// Maximum CPU seconds that pixels add per second of the recording.
        ///
        /// Enough for 8192×4320 in AV1 at 60 frames per second on a slow CPU.
        package var mostPerSecond = 100.0
        /// CPU seconds per sampled frame.
        package var perFrame = 1.0
        /// CPU seconds per million pixels of a sampled frame.
        package var perFrameMegapixel = 1.0

        /// Minimum bytes per second of the recording, used to estimate the duration while frames are counted before the
        /// first is sent.
        package var leastBytesPerSecond = 1000.0

        /// Creates the default rates.
        package init() {}
    }

    private let request: FrameRequest
    private let fileSize: Int64
    private var rates: Rates { request.cpuRates }

    /// Creates a budget for a request on a file of `fileSize` bytes.
    package init(_ request: FrameRequest, fileSize: Int64) {
        self.request = request
        self.fileSize = max(0, fileSize)
    }

    /// CPU seconds that decoding may have cost after `read` bytes and `frames` frames (the last index plus one).
    package func allowed(frames: Int, read: Int64, info: RecordingInfo) -> Double {
        let shown = Double(min(max(info.width, 0), 65_536)) * Double(min(max(info.height, 0), 65_536))
        let pixels = min(shown, Double(request.maxPixels)) / 1e6
        let second =
            rates.perSecond + min(pixels * (info.framesPerSecond ?? 25) * rates.perMegapixel, rates.mostPerSecond)
        // Frames before the first wanted one are decoded again, and the next frame takes its second before it is sent.
        let seconds = Double(max(frames, request.firstIndex) + 1) / request.framesPerSecond
        let sampled =
            Double(max(0, frames - request.firstIndex) + 1) * (rates.perFrame + pixels * rates.perFrameMegapixel)
        let bytes = Double(min(max(read, 0), fileSize))
        // Reference sampling decodes the file twice, the first time before any frame is sent.
        let isReference = request.sampling == .reference
        let counted = isReference ? min(bytes / rates.leastBytesPerSecond, max(0, request.maxDuration)) : 0
        let megabytes = bytes / 1e6 * (isReference ? 2 : 1)
        return rates.start + megabytes * rates.perMegabyte + (seconds + counted) * second + sampled
    }

    /// CPU seconds after which the kernel ends the worker, whatever it reports.
    static func most(_ request: FrameRequest) -> Int {
        let rates = request.cpuRates
        let seconds = min(request.maxDuration, 31 * 86_400) * (rates.perSecond + rates.mostPerSecond)
        return Int(saturating: min(rates.start + max(seconds, 0), 1e9)) + 86_400
    }

    /// CPU seconds that a process has used so far; nil if the kernel does not say.
    static func used(by pid: pid_t) -> Double? {
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { return nil }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
