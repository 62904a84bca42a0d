/// Time codes hh:mm:ss:ff at one rate (SMPTE ST 12-1), from 00:00:00:00 to the end of the 24th hour.
///
/// Labels count at the nominal rate, time runs at the exact one: at 23.976 the label 01:00:00:00 is frame 86,400,
/// which is shown after 3603.6 s.
package struct Timecode: Sendable {
    /// Frames per second.
    package let rate: FrameRate
    private var perSecond: Int { rate.nominal }
    /// Labels skipped at the start of each minute except every tenth.
    private var dropped: Int { rate.isDropFrame ? perSecond / 15 : 0 }
    private var perMinute: Int { 60 * perSecond - dropped }
    private var perTen: Int { 600 * perSecond - 9 * dropped }
    /// Frames in 24 hours of labels.
    var perDay: Int { 144 * perTen }

    /// Time codes at the given rate.
    ///
    /// - Throws: `LongtakeError` `bad_request` for a rate without time codes: two digits count whole frames.
    package init(rate: FrameRate) throws {
        guard rate.nominal <= 100, rate.denominator == 1 || rate.isNTSC else {
            throw LongtakeError(
                code: .badRequest,
                message:
                    "no time code at \(rate.numerator)/\(rate.denominator) frames per second; use a whole rate from 1 to "
                    + "100, or 23.976, 29.97, 47.95 or 59.94")
        }
        self.rate = rate
    }

    /// Frame number of the label with these whole seconds and frames; nil for an invalid label.
    package func frame(label seconds: Int, frames: Int = 0) -> Int? {
        guard (0..<86_400).contains(seconds), (0..<perSecond).contains(frames) else { return nil }
        let minutes = seconds / 60
        // A label skipped by drop frame stands for the next existing one.
        let isSkipped = minutes % 10 != 0 && seconds % 60 == 0 && frames < dropped
        let number = seconds * perSecond + (isSkipped ? dropped : frames)
        return number - dropped * (minutes - minutes / 10)
    }

    /// Number of the frame nearest to a time in seconds; nil if it overflows.
    func frame(at seconds: Double) -> Int? { Int(exactly: (seconds * rate.value).rounded()) }

    /// The label hh:mm:ss:ff of a frame number, with a semicolon for drop frame; nil outside 24 hours.
    package func text(_ frame: Int) -> String? {
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
