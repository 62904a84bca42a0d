import CFFmpeg

/// Counts the frames that a decoder outputs, and measures the frame rate.
///
/// Packets cannot be counted instead: a packet may hold one of two fields, a frame that is never shown, or nothing.
struct ImageCount {
    /// Longer steps are pauses or time jumps; in seconds.
    private static let longestStep = 1.0

    private(set) var frames = 0
    private var packets = 0
    private var clock: FrameClock
    private let tick: Double
    private var fieldCoded: Bool
    private var latest: Int64?
    private var timed = false
    private var steps = 0
    private var length = 0.0

    /// - Parameter tick: seconds per tick of the stream's timestamps.
    init(clock: FrameClock, tick: Double, fieldCoded: Bool) {
        self.clock = clock
        self.tick = tick
        self.fieldCoded = fieldCoded
    }

    mutating func add(_ packet: borrowing Packet) {
        if packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_DISCARD) == 0 { packets += 1 }
    }

    mutating func add(_ frame: borrowing DecodedFrame) {
        frames += 1
        if frame.pointer.pointee.interlaced_frame != 0 { fieldCoded = true }
        let (pts, guessed) = clock.time(of: frame)
        timed = !guessed
        guard let before = latest else {
            latest = pts
            return
        }
        let step = Double(pts &- before) * tick
        if abs(step) <= Self.longestStep {
            steps += 1
            length += max(0, step)
            latest = max(before, pts)
        } else {
            latest = pts
        }
    }

    /// Frames per second; nil if neither the timestamps nor `said`, the container's value, give one.
    ///
    /// `said` may count fields instead of frames.
    func rate(_ said: Double?) -> Double? {
        guard steps > 0, length > 0, timed || said != nil else { return said }
        // Without rounding, an error in the last digit would lose the last second.
        let measured = (Double(steps) / length * 1000).rounded() / 1000
        guard let said else { return measured }
        guard fieldCoded || packets > frames else { return said }
        // Millisecond timestamps and the ends of short streams are not exact enough.
        for candidate in [said, said / 2] where abs(candidate / measured - 1) < 0.02 { return candidate }
        return packets > frames ? measured : said
    }
}
