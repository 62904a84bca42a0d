package import Store

/// Shows times of a recording as times of day.
///
/// A time is the start plus the seconds since it, shown with the offset that the zone has at that instant: across a
/// change of clocks the shown times jump, the seconds do not.
package struct WallClock: Sendable, Equatable {
    /// Seconds since 1970 UTC at 0 on the file's timeline.
    let start: Double
    let zone: ClockZone

    init(start: Double, zone: ClockZone) { (self.start, self.zone) = (start, zone) }

    /// The clock of a recording's start; UTC if this program does not know the zone.
    package init(_ start: RecordingStart) {
        self.init(
            start: start.instant,
            zone: ClockZone(start.zone, source: start.zoneSource) ?? ClockZone(offset: 0, source: start.zoneSource))
    }

    /// The instant of a time on the file's timeline, in seconds since 1970 UTC.
    func instant(_ fileTime: Double) -> Double { start + fileTime }

    /// The time on the file's timeline at an instant.
    func fileTime(at instant: Double) -> Double { instant - start }

    /// RFC 3339 with offset, in whole seconds or thousandths: 2026-03-29T01:30:00+01:00.
    package func rfc3339(_ fileTime: Double) -> String {
        let (fields, offset) = shown(fileTime)
        let zulu = zone.name == "UTC" || zone.name == "Etc/UTC"
        return Self.date(fields) + "T" + Self.time(fields, thousandths: true)
            + (zulu ? "Z" : ClockZone.text(offset: offset))
    }

    /// The date and time of day, without the offset: 2026-03-29 01:30:00.
    package func text(_ fileTime: Double) -> String { Self.text(shown(fileTime).fields) }

    /// An interval: 2026-03-29 01:30:00–01:30:05; the end's date where it is another one, offsets where they differ.
    package func text(_ start: Double, _ end: Double) -> String {
        DayInterval.text(rfc3339(start), rfc3339(end)) ?? "\(text(start))–\(text(end))"
    }

    private func shown(_ fileTime: Double) -> (fields: [Int], offset: Int) {
        // Rounded first, so that the offset is that of the time shown.
        let limits = RecordingStart.instants
        let instant = min(max(instant(fileTime), limits.lowerBound), limits.upperBound + 1e9)
        let rounded = (instant * 1000).rounded() / 1000
        let offset = zone.offset(at: rounded)
        return (CivilTime(seconds: rounded + Double(offset)).fields, offset)
    }

    static func text(_ civil: CivilTime) -> String { text(civil.fields) }

    private static func text(_ fields: [Int]) -> String { date(fields) + " " + time(fields) }

    private static func date(_ fields: [Int]) -> String {
        padded(fields[0], 4) + "-" + padded(fields[1], 2) + "-" + padded(fields[2], 2)
    }

    private static func time(_ fields: [Int], thousandths: Bool = false) -> String {
        let time = fields[3...5].map { padded($0, 2) }.joined(separator: ":")
        return thousandths && fields[6] > 0 ? time + "." + padded(fields[6], 3) : time
    }

    private static func padded(_ value: Int, _ count: Int) -> String {
        let text = "\(value)"
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
