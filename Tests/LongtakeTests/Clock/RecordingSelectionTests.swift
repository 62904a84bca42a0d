import Longtake
import Store
import Testing

extension LongtakeTests {
    /// Which recordings a window and cameras select, and which part of them.
    @Suite struct RecordingSelectionTests {
        private static func select(
            since: String? = nil, until: String? = nil, cameras: [String] = [], zone: String = "Europe/Berlin"
        ) throws -> RecordingSelection {
            try RecordingSelection(
                since: since, until: until, cameras: cameras, zone: ClockZone(zone),
                now: instant("2026-11-29T12:00:00Z") ?? 0)
        }

        @Test func aPipelineSelectsAnewInEachRun() throws {
            var selection = PipelineSelection()
            (selection.since, selection.until, selection.cameras) = ("24h", "1h", ["front"])
            let zone = try ClockZone("UTC")
            for now in [1_700_000_000.0, 1_800_000_000] {
                let resolved = try selection.resolved(zone: zone, now: now)
                #expect(resolved.since == now - 86_400 && resolved.until == now - 3600)
                #expect(resolved.cameras == ["front"])
            }
            // A fixed start is after a relative end, until the time has come.
            (selection.since, selection.until) = ("2026-11-29", "1d")
            let day = try #require(instant("2026-11-29T00:00:00Z"))
            #expect(throws: LongtakeError.self) { try selection.resolved(zone: zone, now: day) }
            #expect(try selection.resolved(zone: zone, now: day + 2 * 86_400).until == day + 86_400)
        }

        @Test func timesDatesAndDurations() throws {
            #expect(try Self.select(since: "2h").since == instant("2026-11-29T10:00:00Z"))
            #expect(try Self.select(since: "7d").since == instant("2026-11-22T12:00:00Z"))
            #expect(try Self.select(since: "2026-11-29").since == instant("2026-11-28T23:00:00Z"))
            #expect(try Self.select(until: "2026-11-29").until == instant("2026-11-29T23:00:00Z"))
            #expect(try Self.select(since: "2026-11-29T08:00").since == instant("2026-11-29T07:00:00Z"))
            #expect(try Self.select(since: "2026-11-29T08:00:00-05:00").since == instant("2026-11-29T13:00:00Z"))
            // The days of a change of clocks have 23 and 25 hours.
            for (day, hours) in [("2026-03-29", 23.0), ("2026-10-25", 25.0), ("2026-07-01", 24.0)] {
                let selection = try Self.select(since: day, until: day)
                #expect((selection.until ?? 0) - (selection.since ?? 0) == hours * 3600)
            }
            for bad in ["soon", "5", "2026-13-01", "-2h", "1e99d", ""] {
                #expect(throws: LongtakeError.self, "\(bad)") { try Self.select(since: bad) }
            }
            #expect(throws: LongtakeError.self) { try Self.select(since: "2026-11-29", until: "2026-11-28") }
        }

        @Test func recordingsAndTheirParts() throws {
            let settings = try clockSettings(zone: "Europe/Berlin", start: "2026-11-29T10:00:00")
            let start = try #require(origin(settings).start)
            let clock = RecordingClock(start: 0.5, wall: WallClock(start))
            func verdict(_ since: String?, _ until: String?, _ cameras: [String] = []) throws
                -> RecordingSelection.Verdict
            {
                try Self.select(since: since, until: until, cameras: cameras)
                    .verdict(camera: "front", clock: clock, end: 3600)
            }
            #expect(try verdict(nil, nil) == .selected)
            #expect(try verdict("2026-11-29T10:59:59", nil) == .selected)
            #expect(try verdict("2026-11-29T11:00:00", nil) == .otherTime)
            #expect(try verdict(nil, "2026-11-29T10:00:00") == .otherTime)
            #expect(try verdict(nil, "2026-11-29T10:00:01") == .selected)
            #expect(try verdict(nil, nil, ["back", "front"]) == .selected)
            #expect(try verdict(nil, nil, ["back"]) == .otherCamera)
            let window = try Self.select(since: "2026-11-29T10:10:00", until: "2026-11-29T10:20:00")
            let range = try #require(window.range(on: clock))
            #expect(range.from == 600 && range.to == 1200)
            let unknown = RecordingClock(start: 0.5)
            #expect(window.verdict(camera: nil, clock: unknown, end: 5) == .unknownStart)
            #expect(window.range(on: unknown) == nil)
            #expect(try Self.select(cameras: ["front"]).verdict(camera: nil, clock: unknown, end: 5) == .otherCamera)
        }

        @Test func camerasThatDoNotExist() throws {
            let selection = try Self.select(cameras: ["frnt"])
            let error = #expect(throws: LongtakeError.self) { try selection.checkCameras(["front", nil, "back"]) }
            #expect(error?.message == "no recording of a camera \"frnt\"; cameras: back, front; did you mean front?")
            #expect(throws: LongtakeError.self) { try selection.checkCameras([nil]) }
        }
    }
}
