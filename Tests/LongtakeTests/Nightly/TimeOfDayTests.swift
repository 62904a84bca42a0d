import Foundation
import Longtake
import Testing

@Suite struct TimeOfDayTests {
    @Test(arguments: [("02:00", "02:00"), ("2:00", "02:00"), ("23:59:59", "23:59:59"), ("00:00:00", "00:00")])
    func `times of day`(text: String, description: String) {
        #expect(TimeOfDay(text)?.description == description)
    }

    @Test(arguments: [
        "", "2", "24:00", "02:60", "02:00:60", "2am", "02:0", "002:00", "-2:00", "+2:00", "02:00:00:00", ":00", "02:",
        " 2:00",
        "٠٢:٠٠", "02.00", "1e1:00",
    ])
    func `what is no time of day is refused`(text: String) { #expect(TimeOfDay(text) == nil) }

    @Test(arguments: [
        ("2026-11-30T01:59:59Z", "02:00", "UTC", "2026-11-30T02:00:00Z"),
        ("2026-11-30T02:00:00Z", "02:00", "UTC", "2026-12-01T02:00:00Z"),
        ("2026-12-31T23:30:00Z", "02:00", "UTC", "2027-01-01T02:00:00Z"),
        ("2026-06-01T12:00:00Z", "02:00", "Europe/Berlin", "2026-06-02T00:00:00Z"),
        // Clocks go from 02:00 to 03:00: 02:30 does not exist on that day.
        ("2026-03-28T12:00:00Z", "02:30", "Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("2026-03-29T12:00:00Z", "02:30", "Europe/Berlin", "2026-03-30T00:30:00Z"),
    ])
    func `the next start`(now: String, time: String, zone: String, expected: String) throws {
        let now = try Date(now, strategy: .iso8601)
        let next = try #require(TimeOfDay(time)).next(after: now, in: try #require(TimeZone(identifier: zone)))
        #expect(next?.formatted(.iso8601) == expected)
    }
}
