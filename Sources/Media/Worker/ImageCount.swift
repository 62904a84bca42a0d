import CFFmpeg

/// Counts the pictures that a decoder presents, and how many there are per second.
///
/// Packets are not pictures: each may hold one field of two, a picture that is never shown, or nothing.
struct ImageCount {
    /// Steps beyond this are pauses, or times that jump. Seconds.
    private static let longestStep = 1.0

    private(set) var pictures = 0
    private var packets = 0
    private var clock: FrameClock
    private let tick: Double
    private var fieldCoded: Bool
    private var latest: Int64?
    private var timed = false
    private var steps = 0
    private var length = 0.0

    /// - Parameter tick: seconds per tick of the stream's times.
    init(clock: FrameClock, tick: Double, fieldCoded: Bool) {
        self.clock = clock
        self.tick = tick
        self.fieldCoded = fieldCoded
    }

    mutating func add(_ packet: borrowing Packet) {
        if packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_DISCARD) == 0 { packets += 1 }
    }

    mutating func add(_ frame: borrowing DecodedFrame) {
        pictures += 1
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

    /// Images per second, where the container says `said`, which may count fields; nil where nothing says it.
    func rate(_ said: Double?) -> Double? {
        guard steps > 0, length > 0, timed || said != nil else { return said }
        // A sum that is off in its last digit would lose the last second.
        let measured = (Double(steps) / length * 1000).rounded() / 1000
        guard let said else { return measured }
        guard fieldCoded || packets > pictures else { return said }
        // Times in milliseconds, and the ends of short streams, are no exact measure.
        for candidate in [said, said / 2] where abs(candidate / measured - 1) < 0.02 { return candidate }
        return packets > pictures ? measured : said
    }
}
