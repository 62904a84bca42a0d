import Longtake
import Store
import Testing

extension LongtakeTests {
    /// What decides when and where a recording was made.
    @Suite struct OriginFinderTests {
        private static let pattern = "{camera}/%Y-%m-%d/%H-%M-%S"
        private static let path = "/rec/front/2026-11-29/14-00-00.mp4"
        private static let dates = ["creation_time": "2026-11-29T13:30:00.000000Z"]

        @Test func whatIsStatedComesFirstThenThePathThenTheContainer() throws {
            var settings = try clockSettings(zone: "Europe/Berlin")
            var found = origin(settings, path: Self.path, dates: Self.dates)
            #expect(found.start?.source == .container && found.start?.detail == "creation_time")
            #expect(found.start?.instant == instant("2026-11-29T13:30:00Z") && found.start?.uncertainty == nil)
            #expect(found.start?.zone == "Europe/Berlin" && found.camera == nil)
            #expect(found.notes.joined().contains("some cameras write local time"))
            settings.pattern = try ClockPattern(Self.pattern)
            found = origin(settings, path: Self.path, dates: Self.dates)
            #expect(found.start?.source == .path && found.start?.detail == Self.pattern && found.notes == [])
            #expect(found.start?.instant == instant("2026-11-29T13:00:00Z") && found.start?.uncertainty == 1)
            #expect(found.camera == "front" && found.cameraSource == .path)
            settings.start = try ClockSettings.start("2026-11-29T12:00")
            settings.camera = "yard"
            found = origin(settings, path: Self.path, dates: Self.dates)
            #expect(found.start?.source == .stated && found.start?.detail == "2026-11-29T12:00")
            #expect(found.start?.instant == instant("2026-11-29T11:00:00Z") && found.start?.uncertainty == 60)
            #expect(found.camera == "yard" && found.cameraSource == .stated && found.dates == Self.dates)
        }

        @Test func aMoreReliableStartIsKept() throws {
            let stated = origin(try clockSettings(zone: "UTC", start: "2026-11-29T12:00:00", camera: "yard"))
            let pattern = try clockSettings(pattern: Self.pattern)
            let again = origin(pattern, path: Self.path, dates: Self.dates, previous: stated)
            #expect(again.start == stated.start && again.camera == "yard")
            // It is the same once more, so that nothing has to be written.
            #expect(origin(pattern, path: Self.path, previous: again) == again)
            // What another path of the same recording does not say is not forgotten.
            let fromPath = origin(pattern, path: Self.path, dates: Self.dates)
            let copied = origin(pattern, path: "/copy/a.mp4", dates: Self.dates, previous: fromPath)
            #expect(copied.start == fromPath.start && copied.camera == "front")
            // Only a person can withdraw what a person said.
            let withdrawn = origin(
                try clockSettings(pattern: Self.pattern, start: "none", camera: ""), path: Self.path, previous: again)
            #expect(withdrawn.start == fromPath.start && withdrawn.camera == "front")
        }

        /// Another zone is applied to times that were read before, without their files.
        @Test func theZoneMayChangeLater() throws {
            let other = try clockSettings(zone: "America/New_York")
            let stated = origin(try clockSettings(zone: "UTC", start: "2026-11-29T12:00:00"))
            #expect(origin(other, previous: stated).start?.instant == instant("2026-11-29T17:00:00Z"))
            let fromPath = origin(try clockSettings(zone: "UTC", pattern: Self.pattern), path: Self.path)
            #expect(
                origin(other, path: Self.path, previous: fromPath).start?.instant == instant("2026-11-29T19:00:00Z"))
            let container = origin(try clockSettings(zone: "UTC"), dates: Self.dates)
            let moved = origin(other, previous: container)
            #expect(moved.start?.instant == container.start?.instant && moved.start?.zone == "America/New_York")
        }

        @Test(
            arguments: [
                (["creation_time": "1904-01-01T00:00:00.000000Z"], nil),
                (["creation_time": "1970-01-01T00:00:10Z"], nil),
                (["creation_time": "1980-01-01T00:00:00Z"], nil), (["creation_time": "9999-01-01T00:00:00Z"], nil),
                (["creation_time": "1815-03-31T05:56:19.-933722Z"], nil),
                (["creation_time": "0000-00-00T00:00:00Z"], nil),
                (["date": "2026"], nil), (["date": "2026-11-29"], nil), ([:], nil),
                (["creation_time": "2026-11-29T13:30:00Z", "date": "2020-01-01T00:00:00"], "2026-11-29T13:30:00Z"),
                (["creation_time": "1904-01-01T00:00:00Z", "date": "2020-01-01 00:00:00"], "2019-12-31T23:00:00Z"),
                (
                    [
                        "creation_time": "2026-11-29T13:30:00Z",
                        "com.apple.quicktime.creationdate": "2026-11-29T14:29:58+0100",
                    ], "2026-11-29T13:29:58Z"
                ),
                (["modification_date": "2026-11-29T13:30:00Z"], "2026-11-29T13:30:00Z"),
            ] as [([String: String], String?)])
        func datesOfContainers(dates: [String: String], utc: String?) throws {
            let found = origin(ClockSettings(), dates: dates, system: "Europe/Berlin")
            #expect(found.start?.instant == utc.flatMap(instant))
            if dates["creation_time"]?.hasPrefix("19") == true {
                #expect(found.notes.joined().contains("is not believed"))
            }
            // Apple's tag has the offset of the place, which is kept.
            if dates.count == 2, dates["date"] == nil {
                #expect(found.start?.zone == "+01:00" && found.start?.zoneSource == .written)
                #expect(found.start?.uncertainty == 1)
            }
        }

        @Test(arguments: [
            "yesterday", "2026-11-29", "2026-11-29T25:00:00", "2026-02-30T00:00:00", "1815-01-01T00:00:00",
            "9999-01-01T00:00:00", "", "2026-11-29T12:00:00+25:00", "12:00", "2026-11-29T12:00:00 Berlin",
        ]) func startsThatAreNotTimes(text: String) {
            let error = #expect(throws: LongtakeError.self) { try ClockSettings.start(text) }
            #expect(error?.message.hasPrefix("invalid start \"\(text)\"; ") == true)
        }
    }
}
