/// A date and a time of day on a clock, whatever its time zone; the calendar is the Gregorian one.
struct CivilTime: Sendable, Equatable {
    /// Seconds from 1970-01-01 00:00:00 on the same clock, if it were never changed.
    let seconds: Double

    /// A time from the seconds that a clock in UTC would have counted.
    init(seconds: Double) { self.seconds = seconds }

    /// A time from its fields; nil if there is no such date or time of day.
    ///
    /// - Parameter second: 0 to 60; a leap second counts as the first second of the next minute.
    init?(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0, fraction: Double = 0) {
        guard (1...9999).contains(year), (1...12).contains(month), (1...Self.days(in: month, of: year)).contains(day),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second), (0..<1).contains(fraction)
        else { return nil }
        let days = Self.daysSince1970(year, month, day)
        seconds = Double(days * 86_400 + hour * 3600 + minute * 60 + second) + fraction
    }

    /// The month and day of a day of the year, from 1; nil if the year has no such day.
    static func date(ofDay day: Int, in year: Int) -> (month: Int, day: Int)? {
        guard day >= 1 else { return nil }
        var left = day
        for month in 1...12 {
            let days = days(in: month, of: year)
            if left <= days { return (month, left) }
            left -= days
        }
        return nil
    }

    /// Year, month, day, hour, minute, second and thousandth.
    var fields: [Int] {
        let thousandths = Int(saturating: (seconds * 1000).rounded())
        let whole = Self.floorDivide(thousandths, 1000)
        let days = Self.floorDivide(whole, 86_400)
        let ofDay = whole - days * 86_400
        return Self.date(daysSince1970: days) + [
            ofDay / 3600, ofDay / 60 % 60, ofDay % 60, thousandths - whole * 1000,
        ]
    }

    private static func days(in month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": eras of 400 years that begin in March.
    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let year = month <= 2 ? year - 1 : year
        let era = floorDivide(year, 400)
        let ofEra = year - era * 400
        let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    }

    private static func date(daysSince1970 days: Int) -> [Int] {
        let days = days + 719_468
        let era = floorDivide(days, 146_097)
        let ofEra = days - era * 146_097
        let year = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * year + year / 4 - year / 100)
        let month = (5 * ofYear + 2) / 153
        let (shown, day) = (month < 10 ? month + 3 : month - 9, ofYear - (153 * month + 2) / 5 + 1)
        return [year + era * 400 + (shown <= 2 ? 1 : 0), shown, day]
    }

    private static func floorDivide(_ value: Int, _ by: Int) -> Int {
        value >= 0 ? value / by : -((-value + by - 1) / by)
    }
}
