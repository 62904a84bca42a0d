import Foundation
import Glibc

/// What decoding may cost: CPU seconds of the worker, by what has come of them.
///
/// CPU time, not wall time: a busy machine changes nothing. The parent counts, by what it has received itself and by the size of
/// the file; of what the worker says only the picture size and rate are believed, both within limits.
package struct CPUBudget: Sendable {
    /// What decoding may cost at most: estimates, meant to lie far above what decoders take on old CPUs.
    package struct Rates: Sendable, Codable, Equatable {
        /// CPU seconds for starting, and for reading the container's index.
        package var start = 60.0
        /// CPU seconds per million bytes read: a recording that is larger may cost more.
        package var perMegabyte = 1.0
        /// CPU seconds per second of the recording, whatever the size of its pictures.
        package var perSecond = 4.0
        /// CPU seconds per million pixels that a second of the recording shows.
        package var perMegapixel = 0.2
        /// CPU seconds per second of the recording that its pixels add at most: 8192×4320 in AV1 at 60 frames per second on a slow CPU.
        package var mostPerSecond = 100.0
        /// CPU seconds per sampled frame, and per million pixels of it.
        package var perFrame = 1.0
        package var perFrameMegapixel = 1.0

        /// Bytes that a second of the recording takes at least, where its pictures are counted before any has come.
        package var leastBytesPerSecond = 1000.0

        package init() {}
    }

    private let request: FrameRequest
    private let fileSize: Int64
    private var rates: Rates { request.cpuRates }

    package init(_ request: FrameRequest, fileSize: Int64) {
        self.request = request
        self.fileSize = max(0, fileSize)
    }

    /// CPU seconds that decoding may have cost by the time `frames` have come (the last index and one), and so much was read.
    package func allowed(frames: Int, read: Int64, info: RecordingInfo) -> Double {
        let shown = Double(min(max(info.width, 0), 65_536)) * Double(min(max(info.height, 0), 65_536))
        let pixels = min(shown, Double(request.maxPixels)) / 1e6
        let second =
            rates.perSecond + min(pixels * (info.framesPerSecond ?? 25) * rates.perMegapixel, rates.mostPerSecond)
        // The frames there were before are decoded once more, and the next one takes its second before it comes.
        let seconds = Double(max(frames, request.firstIndex) + 1) / request.framesPerSecond
        let sampled =
            Double(max(0, frames - request.firstIndex) + 1) * (rates.perFrame + pixels * rates.perFrameMegapixel)
        let bytes = Double(min(max(read, 0), fileSize))
        // The reference's sampling decodes the file twice, the first time before any frame comes.
        let isReference = request.sampling == .reference
        let counted = isReference ? min(bytes / rates.leastBytesPerSecond, max(0, request.maxDuration)) : 0
        let megabytes = bytes / 1e6 * (isReference ? 2 : 1)
        return rates.start + megabytes * rates.perMegabyte + (seconds + counted) * second + sampled
    }

    /// CPU seconds after which the kernel ends the worker, whatever it says.
    static func most(_ request: FrameRequest) -> Int {
        let rates = request.cpuRates
        let seconds = min(request.maxDuration, 31 * 86_400) * (rates.perSecond + rates.mostPerSecond)
        return Int(saturating: min(rates.start + max(seconds, 0), 1e9)) + 86_400
    }

    /// CPU seconds that a process has taken so far; nil where the kernel does not say.
    static func used(by pid: pid_t) -> Double? {
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { return nil }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
