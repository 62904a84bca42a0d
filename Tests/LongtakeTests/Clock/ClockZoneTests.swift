import Longtake
import Store
import Testing

extension LongtakeTests {
    /// Time zones, and times that clocks show twice or never.
    @Suite struct ClockZoneTests {
        @Test(
            arguments: [
                ("Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z", nil),
                ("Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:30:00Z", "does not exist"),
                ("Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00Z", nil),
                ("Europe/Berlin", "2026-10-25T01:59:59", "2026-10-24T23:59:59Z", nil),
                ("Europe/Berlin", "2026-10-25T02:00:00", "2026-10-25T00:00:00Z", "occurs twice"),
                ("Europe/Berlin", "2026-10-25T02:59:59", "2026-10-25T00:59:59Z", "occurs twice"),
                ("Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00Z", nil),
                ("America/New_York", "2026-03-08T01:59:59", "2026-03-08T06:59:59Z", nil),
                ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:30:00Z", "does not exist"),
                ("America/New_York", "2026-03-08T03:00:00", "2026-03-08T07:00:00Z", nil),
                ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z", "occurs twice"),
                ("America/New_York", "2026-11-01T02:00:00", "2026-11-01T07:00:00Z", nil),
                // A day that was left out when Samoa changed the side of the date line.
                ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00Z", "does not exist"),
                ("Asia/Kolkata", "2026-03-29T02:30:00", "2026-03-28T21:00:00Z", nil),
                ("+02:00", "2026-03-29T02:30:00", "2026-03-29T00:30:00Z", nil),
                ("-0330", "2026-03-29T02:30:00", "2026-03-29T06:00:00Z", nil),
            ] as [(String, String, String, String?)])
        func localTimes(zone: String, time: String, utc: String, note: String?) throws {
            let found = origin(try clockSettings(zone: zone, start: time))
            #expect(found.start?.instant == instant(utc))
            #expect(found.notes.count == (note == nil ? 0 : 1))
            if let note { #expect(found.notes.joined().contains(note)) }
        }

        /// The offset that is written decides where a clock shows a time twice.
        @Test func aWrittenOffsetDecides() throws {
            for (time, utc) in [
                ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00Z"),
                ("2026-10-25T02:30:00+0100", "2026-10-25T01:30:00Z"),
            ] {
                let found = origin(try clockSettings(zone: "Europe/Berlin", start: time))
                #expect(found.start?.instant == instant(utc) && found.notes == [])
                #expect(found.start?.zone == "Europe/Berlin")
            }
        }

        /// Inside a recording the time of day is the start plus the seconds since: the offset changes, no second is lost.
        @Test func aRecordingAcrossAChangeOfClocks() throws {
            let autumn = try #require(
                origin(try clockSettings(zone: "Europe/Berlin", start: "2026-10-25T01:59:50")).start)
            let clock = WallClock(autumn)
            #expect(clock.rfc3339(0) == "2026-10-25T01:59:50+02:00")
            #expect(clock.rfc3339(10) == "2026-10-25T02:00:00+02:00")
            #expect(clock.rfc3339(3609.5) == "2026-10-25T02:59:59.500+02:00")
            #expect(clock.rfc3339(3610) == "2026-10-25T02:00:00+01:00")
            #expect(clock.rfc3339(7210) == "2026-10-25T03:00:00+01:00")
            #expect(clock.text(3600, 3620) == "2026-10-25 02:59:50 +02:00–02:00:10 +01:00")
            #expect(clock.text(0, 5) == "2026-10-25 01:59:50–01:59:55")
            let spring = try #require(
                origin(try clockSettings(zone: "America/New_York", start: "2026-03-08T01:59:58")).start)
            #expect(WallClock(spring).rfc3339(1) == "2026-03-08T01:59:59-05:00")
            #expect(WallClock(spring).rfc3339(2) == "2026-03-08T03:00:00-04:00")
            #expect(WallClock(spring).text(-7200, 86_400) == "2026-03-07 23:59:58 -05:00–2026-03-09 02:59:58 -04:00")
            // Rounding to a thousandth may reach the change.
            #expect(WallClock(spring).rfc3339(1.9999) == "2026-03-08T03:00:00-04:00")
        }

        @Test(arguments: [
            "europe/berlin", "Nowhere/City", "", "../../etc/passwd", "GMT+2", "+2", "25:00", "+25:00", "+01:60",
        ])
        func unknownNames(name: String) throws {
            let error = #expect(throws: LongtakeError.self) { try ClockZone(name) }
            #expect(error?.message.contains("unknown time zone") == true)
            if name == "europe/berlin" { #expect(error?.message.contains("did you mean Europe/Berlin?") == true) }
        }

        @Test func theSystemsZone() {
            #expect(ClockZone.system("Europe/Berlin", link: nil, named: nil).name == "Europe/Berlin")
            #expect(ClockZone.system(":America/New_York", link: nil, named: nil).name == "America/New_York")
            #expect(ClockZone.system("/usr/share/zoneinfo/Asia/Tokyo", link: nil, named: nil).name == "Asia/Tokyo")
            #expect(ClockZone.system("", link: "/usr/share/zoneinfo/Asia/Tokyo", named: nil).name == "UTC")
            #expect(ClockZone.system(nil, link: "../usr/share/zoneinfo/Asia/Tokyo", named: nil).name == "Asia/Tokyo")
            #expect(ClockZone.system(nil, link: nil, named: "Europe/Paris\n").name == "Europe/Paris")
            #expect(ClockZone.system(nil, link: nil, named: nil).name == "UTC")
        }

        /// A rule instead of a name, and no zone at all: UTC, and it is said.
        @Test func aMissingZoneIsSaid() throws {
            for system in ["CET-1CEST", "Mars/Olympus"] {
                let found = origin(try clockSettings(start: "2026-07-01T12:00:00"), system: system)
                #expect(found.start?.instant == instant("2026-07-01T12:00:00Z"))
                #expect(found.start?.zone == "UTC" && found.start?.zoneSource == .system)
                #expect(found.notes.joined().contains("TZ=\(system) is not the name of a time zone"))
            }
            let written = origin(try clockSettings(start: "2026-07-01T12:00:00+02:00"), system: "CET-1CEST")
            #expect(written.notes == [])
        }
    }
}
