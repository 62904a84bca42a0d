import CFFmpeg

/// Counts the frames that a decoder outputs, and measures the frame rate.
///
/// Packets cannot be counted instead: a packet may hold one of two fields, a frame that is never shown, or nothing.
struct FrameCounter {
    /// Longer steps are pauses or time jumps; in seconds.
    private static let longestStep = 1.0

    private(set) var frames = 0
    private var packets = 0
    private var clock: FrameClock
    private let unit: Double
    private var isFieldCoded: Bool
    private var latest: Int64?
    private var hasTimestamps = false
    private var steps = 0
    private var length = 0.0

    /// - Parameter unit: seconds per unit of the time base.
    init(clock: FrameClock, unit: Double, isFieldCoded: Bool) {
        self.clock = clock
        self.unit = unit
        self.isFieldCoded = isFieldCoded
    }

    mutating func add(_ packet: borrowing Packet) {
        if packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_DISCARD) == 0 { packets += 1 }
    }

    mutating func add(_ frame: borrowing DecodedFrame) {
        frames += 1
        if frame.pointer.pointee.interlaced_frame != 0 { isFieldCoded = true }
        let (pts, guessed) = clock.time(of: frame)
        hasTimestamps = !guessed
        guard let before = latest else {
            latest = pts
            return
        }
        let step = Double(pts &- before) * unit
        if abs(step) <= Self.longestStep {
            steps += 1
            length += max(0, step)
            latest = max(before, pts)
        } else {
            latest = pts
        }
    }

    /// Frames per second; nil if neither the timestamps nor `stated`, the container's value, give one.
    ///
    /// `stated` may count fields instead of frames.
    func rate(_ stated: Double?) -> Double? {
        guard steps > 0, length > 0, hasTimestamps || stated != nil else { return stated }
        // Without rounding, an error in the last digit would lose the last second.
        let measured = (Double(steps) / length * 1000).rounded() / 1000
        guard let stated else { return measured }
        guard isFieldCoded || packets > frames else { return stated }
        // Millisecond timestamps and the ends of short streams are not exact enough.
        for candidate in [stated, stated / 2] where abs(candidate / measured - 1) < 0.02 { return candidate }
        return packets > frames ? measured : stated
    }
}
