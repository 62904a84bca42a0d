package import Foundation

/// A time of day on a 24-hour clock, in the machine's time zone.
package struct TimeOfDay: Sendable, Equatable, CustomStringConvertible {
    /// Hour, 0 to 23.
    package let hour: Int
    /// Minute, 0 to 59.
    package let minute: Int
    /// Second, 0 to 59.
    package let second: Int

    /// Parses 02:00, 2:00 or 02:00:30; nil for other text.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (2...3).contains(parts.count), (1...2).contains(parts[0].count),
            parts.dropFirst().allSatisfy({ $0.count == 2 }),
            parts.allSatisfy({ $0.utf8.allSatisfy { (48...57).contains($0) } })
        else { return nil }
        let values = parts.compactMap { Int($0) }
        guard values.count == parts.count, values[0] < 24, values.dropFirst().allSatisfy({ $0 < 60 }) else {
            return nil
        }
        (hour, minute, second) = (values[0], values[1], values.count > 2 ? values[2] : 0)
    }

    /// "02:00", or "02:00:30" if the seconds are not 0.
    package var description: String {
        ([hour, minute] + (second == 0 ? [] : [second])).map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
    }

    /// Returns the first moment after `date` with this time of day; one that a clock change skips is at the change.
    package func next(after date: Date, in zone: TimeZone = .current) -> Date? {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        return calendar.nextDate(
            after: date, matching: DateComponents(hour: hour, minute: minute, second: second),
            matchingPolicy: .nextTime)
    }
}
