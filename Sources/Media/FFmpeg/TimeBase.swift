import CFFmpeg

/// A stream's time base: the seconds per unit of its timestamps, as a fraction.
struct TimeBase: Equatable {
    let numerator: Int32
    let denominator: Int32

    /// MPEG's 90 kHz, for a stream without a time base.
    static let mpeg = TimeBase(numerator: 1, denominator: 90_000)

    private init(numerator: Int32, denominator: Int32) {
        self.numerator = numerator
        self.denominator = denominator
    }

    /// The time base of a stream; nil if it is invalid.
    init?(_ stream: UnsafeMutablePointer<AVStream>) {
        let value = stream.pointee.time_base
        guard value.num > 0, value.den > 0 else { return nil }
        self.init(numerator: value.num, denominator: value.den)
    }

    /// Seconds per unit, rounded; `seconds` rounds less.
    var unit: Double { Double(numerator) / Double(denominator) }

    /// Converts units to seconds, so that 3 s stay 3 s in a time base of 1/1000.
    func seconds(_ units: Int64) -> Double { Double(units) * Double(numerator) / Double(denominator) }

    /// Converts seconds to the nearest unit.
    func units(_ seconds: Double) -> Int64 {
        Int64(saturating: (seconds * Double(denominator) / Double(numerator)).rounded())
    }
}
