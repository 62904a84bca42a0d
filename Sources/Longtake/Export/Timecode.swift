/// Time codes hh:mm:ss:ff of one rate (SMPTE ST 12-1), from 00:00:00:00 to the end of the 24th hour.
///
/// A label counts at the nominal rate, time runs at the exact one: at 23.976 the label 01:00:00:00 is frame 86,400, and frame
/// 86,400 comes after 3603.6 s.
public struct Timecode: Sendable {
    public let rate: FrameRate
    private var perSecond: Int { rate.nominal }
    /// Numbers left out of every minute but each tenth.
    private var dropped: Int { rate.isDropFrame ? perSecond / 15 : 0 }
    private var perMinute: Int { 60 * perSecond - dropped }
    private var perTen: Int { 600 * perSecond - 9 * dropped }
    /// Frames of 24 hours of labels.
    var perDay: Int { 144 * perTen }

    /// - Throws: `LongtakeError` `bad_request` for a rate that has no time code: two digits count whole frames.
    public init(rate: FrameRate) throws {
        guard rate.nominal <= 100, rate.denominator == 1 || rate.isNTSC else {
            throw LongtakeError(
                code: .badRequest,
                message:
                    "\(rate.numerator)/\(rate.denominator) frames per second have no time code; possible are whole "
                    + "rates from 1 to 100 and 23.976, 29.97, 47.95, 59.94")
        }
        self.rate = rate
    }

    /// The frame number of a label of whole seconds and frames; nil for a label that does not exist.
    public func frame(label seconds: Int, frames: Int = 0) -> Int? {
        guard (0..<86_400).contains(seconds), (0..<perSecond).contains(frames) else { return nil }
        let minutes = seconds / 60
        // Labels that drop frame leaves out stand for the next one that exists.
        let isLeftOut = minutes % 10 != 0 && seconds % 60 == 0 && frames < dropped
        let number = seconds * perSecond + (isLeftOut ? dropped : frames)
        return number - dropped * (minutes - minutes / 10)
    }

    /// The number of the frame that lies at a time; nil beyond what an integer holds.
    func frame(at seconds: Double) -> Int? { Int(exactly: (seconds * rate.value).rounded()) }

    /// hh:mm:ss:ff of a frame's number, drop frame with a semicolon; nil outside of 24 hours.
    public func text(_ frame: Int) -> String? {
        guard (0..<perDay).contains(frame) else { return nil }
        var number = frame
        if dropped > 0 {
            let (tens, rest) = (frame / perTen, frame % perTen)
            number += 9 * dropped * tens
            if rest >= dropped { number += dropped * ((rest - dropped) / perMinute) }
        }
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let seconds = number / perSecond
        return "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))"
            + (rate.isDropFrame ? ";" : ":") + two(number % perSecond)
    }
}
