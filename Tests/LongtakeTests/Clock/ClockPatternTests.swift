import Longtake
import Store
import Testing

extension LongtakeTests {
    /// Patterns for the end of a path.
    @Suite struct ClockPatternTests {
        /// The camera and the start in UTC that a path states; nil for what it does not.
        private static func read(_ pattern: String, _ path: String) throws -> (camera: String?, start: Double?) {
            let found = origin(try clockSettings(zone: "UTC", pattern: pattern), path: path)
            return (found.camera, found.start?.source == .path ? found.start?.instant : nil)
        }

        @Test(
            arguments: [
                ("{camera}/%Y-%m-%d/%H-%M-%S", "/rec/front/2026-11-29/14-05-09.mp4", "front", "2026-11-29T14:05:09Z"),
                ("{camera}/%Y-%m-%d/%H-%M-%S", "/front door/2026-11-29/14-05-09", "front door", "2026-11-29T14:05:09Z"),
                ("%Y%m%d_%H%M%S", "/rec/cam1_20261129_140509.MKV", nil, "2026-11-29T14:05:09Z"),
                ("{camera}_%Y%m%d_%H%M%S", "/rec/cam_1_20261129_140509.mp4", "cam_1", "2026-11-29T14:05:09Z"),
                ("%Y%m%d_%H%M%S*", "/rec/20261129_140509_front.mp4", nil, "2026-11-29T14:05:09Z"),
                ("{camera}/*/%Y/%j/%H", "/rec/yard/x/2026/333/14.mp4", "yard", "2026-11-29T14:00:00Z"),
                ("%Y-%m-%d", "/rec/2026-11-29.mp4", nil, "2026-11-29T00:00:00Z"),
                ("%s", "/rec/1795961109.ts", nil, "2026-11-29T14:05:09Z"),
                ("%Y-%m-%dT%H-%M-%S%z", "/rec/2026-11-29T14-05-09+0100.mp4", nil, "2026-11-29T13:05:09Z"),
                ("%Y-%m-%dT%H%M%S%z", "/rec/2026-11-29T140509Z.mp4", nil, "2026-11-29T14:05:09Z"),
                ("%Y.%m.%d %H.%M.%S", "/rec/2026.11.29 14.05.09", nil, "2026-11-29T14:05:09Z"),
                ("100%% {camera}/%Y%m%d", "/100% b/20261129.mp4", "b", "2026-11-29T00:00:00Z"),
                ("{camera}/*", "/rec/front/x.mp4", "front", nil),
                ("{camera}.mp4", "/rec/front.mp4", "front", nil),
                ("Kamera-{camera}-%Y%m%d", "/Kamera-Tür-20261129.mp4", "Tür", "2026-11-29T00:00:00Z"),
            ] as [(String, String, String?, String?)])
        func matches(pattern: String, path: String, camera: String?, start: String?) throws {
            let found = try Self.read(pattern, path)
            #expect(found.camera == camera)
            #expect(found.start == start.flatMap(instant))
        }

        @Test(arguments: [
            ("{camera}/%Y-%m-%d/%H-%M-%S", "/2026-11-29/14-05-09.mp4"),
            ("{camera}/%Y-%m-%d/%H-%M-%S", "/front/2026-11-29/14-05.mp4"),
            ("{camera}/%Y-%m-%d/%H-%M-%S", "/front/2026-11-29/14-05-09/a.mp4"),
            // A number is not cut in two.
            ("%Y%m%d", "/rec/1220261129.mp4"), ("%H-%M %Y-%m-%d", "/rec/114-05 2026-11-29.mp4"),
            ("%Y-%m-%d", "/rec/2026-13-29.mp4"), ("%Y-%m-%d", "/rec/2026-02-29.mp4"), ("%Y-%j", "/rec/2026-366.mp4"),
            ("%Y-%m-%d %H", "/rec/2026-11-29 24.mp4"), ("%Y-%m-%d", "/rec/0000-01-01.mp4"),
            ("%Y-%m-%d", "/rec/9999-01-01.mp4"), ("%s", "/rec/99999999999.mp4"), ("%s", "/rec/123456789012.mp4"),
            ("%Y-%m-%d", "/rec/２０２６-11-29.mp4"),
        ]) func statesNoTime(pattern: String, path: String) throws {
            let found = origin(try clockSettings(zone: "UTC", pattern: pattern), path: path)
            #expect(found.start == nil)
            #expect(found.notes.count == 1, "\(found.notes)")
        }

        @Test(arguments: [
            ("", "empty"), ("%Y-%m", "a date needs"), ("%H-%M-%S", "a date needs"),
            ("recordings", "neither a date nor"),
            ("%b-%Y-%m-%d", "unknown field %b at character 1; known: %Y"), ("%Y-%m-%d%", "% at its end"),
            ("%Y-%m-%d-%Y", "%Y twice, again at character 10"), ("{camera}{camera}", "{camera} twice"),
            ("{cam}/%Y%m%d", "unknown name {cam} at character 1"), ("{camera", "{ without }"),
            ("camera}", "} without {"),
            ("%s %Y", "%s is a whole time: leave out %Y"), ("%Y-%j-%m", "leave out %m and %d"),
            ("%Y-%m-%d %S", "%S needs %M"), ("%Y-%m-%d %M", "%M needs %H"),
            (String(repeating: "x", count: 600), "bytes"),
        ]) func errorsSayWhatIsWrong(pattern: String, problem: String) throws {
            let error = #expect(throws: LongtakeError.self) { try ClockPattern(pattern) }
            #expect(error?.message.contains(problem) == true, "\(error?.message ?? "")")
        }

        /// A path that is made to be slow to compare: many wildcards, many chances.
        @Test func manyWildcards() throws {
            let pattern = String(repeating: "*a", count: 60) + "*b%Y-%m-%d"
            let path = "/" + String(repeating: "a", count: 4000) + "/2026-11-29.mp4"
            #expect(try Self.read(pattern, path).start == nil)
            #expect(try Self.read(pattern, "/" + String(repeating: "a", count: 250) + "2026-11-29.mp4").start == nil)
        }

        @Test func bytesThatAreNotText() throws {
            let settings = try clockSettings(zone: "UTC", pattern: "{camera}/%Y-%m-%d")
            let path = InputPath(bytes: [0x2F, 0xFF, 0x2F] + Array("2026-11-29.mp4".utf8))
            let found = OriginFinder(settings).origin(of: path)
            #expect(found.camera == "\u{FFFD}" && found.start?.instant == instant("2026-11-29T00:00:00Z"))
        }
    }
}
