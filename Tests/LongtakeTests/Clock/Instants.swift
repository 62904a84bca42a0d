import Foundation
import Longtake
import Store

/// Seconds since 1970 of a time with an offset, by Foundation's formatter.
func instant(_ text: String) -> Double? {
    ISO8601DateFormatter().date(from: text)?.timeIntervalSince1970
}

/// Settings in a zone.
func clockSettings(
    zone: String? = nil, pattern: String? = nil, start: String? = nil, camera: String? = nil
) throws -> ClockSettings {
    var settings = ClockSettings()
    settings.zone = try zone.map { try ClockZone($0) }
    settings.pattern = try pattern.map { try ClockPattern($0) }
    settings.start = try start.map { try ClockSettings.start($0) }
    settings.camera = camera
    return settings
}

/// The origin of a recording; the system's zone is UTC.
func origin(
    _ settings: ClockSettings, path: String = "/rec/a.mp4", dates: [String: String]? = nil,
    previous: RecordingOrigin? = nil, system: String = "UTC"
) -> RecordingOrigin {
    let zone = ClockZone.system(system, link: nil, named: nil)
    return OriginFinder(settings, system: zone).origin(of: InputPath(path), dates: dates, previous: previous)
}
