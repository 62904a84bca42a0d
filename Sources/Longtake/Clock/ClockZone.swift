internal import Foundation
internal import Glibc
internal import Store

/// A time zone: its name, its offsets from UTC, and how it was chosen.
///
/// The rules come with Foundation; the system's tzdata package is not needed.
package struct ClockZone: Sendable, Equatable {
    /// As it was given: Europe/Berlin, UTC or +02:00.
    package let name: String
    let source: RecordingStart.ZoneSource
    /// Why another zone than the system's is used; nil if it is the one meant.
    let note: String?
    private let rules: TimeZone

    /// UTC, which is used where the system's zone is unknown.
    static let utc = ClockZone(name: "UTC", source: .system, rules: .gmt)

    private init(name: String, source: RecordingStart.ZoneSource, rules: TimeZone, note: String? = nil) {
        (self.name, self.source, self.rules, self.note) = (name, source, rules, note)
    }

    /// The zone with this name, such as Europe/Berlin or UTC, or this offset, such as +02:00.
    ///
    /// - Throws: `LongtakeError` `bad_request` for an unknown name, with the nearest known one.
    package init(_ text: String) throws {
        guard let zone = ClockZone(text, source: .chosen) else {
            let near =
                TimeZone.knownTimeZoneIdentifiers.first { $0.lowercased() == text.lowercased() }
                ?? Spelling.suggestion(for: text, among: TimeZone.knownTimeZoneIdentifiers)
            throw LongtakeError(
                code: .badRequest,
                message: "unknown time zone \"\(text.prefix(64))\"; use a name such as Europe/Berlin, UTC or an offset "
                    + "such as +02:00" + (near.map { "; did you mean \($0)?" } ?? ""))
        }
        self = zone
    }

    /// The zone with this name or offset; nil if there is none.
    init?(_ text: String, source: RecordingStart.ZoneSource) {
        guard text.utf8.count <= 64 else { return nil }
        if let offset = ClockTime.offset(text) {
            self.init(offset: offset, source: source)
            return
        }
        // Foundation takes GMT+2 for +02:00 and Etc/GMT+2 for -02:00.
        guard !text.isEmpty, !text.hasPrefix("GMT+"), !text.hasPrefix("GMT-"), let rules = TimeZone(identifier: text)
        else { return nil }
        self.init(name: text, source: source, rules: rules)
    }

    /// A fixed offset in seconds east of UTC.
    init(offset: Int, source: RecordingStart.ZoneSource) {
        let rules = TimeZone(secondsFromGMT: offset) ?? .gmt
        self.init(name: offset == 0 ? "UTC" : Self.text(offset: offset), source: source, rules: rules)
    }

    /// The system's zone when the program started.
    package static let system = system(
        ProcessInfo.processInfo.environment["TZ"],
        link: try? FileManager.default.destinationOfSymbolicLink(atPath: "/etc/localtime"),
        named: (try? String(contentsOfFile: "/etc/timezone", encoding: .utf8)))

    /// The zone that TZ names, else /etc/localtime's link, else /etc/timezone, else UTC.
    ///
    /// - Parameters:
    ///   - variable: TZ, as POSIX and glibc read it; a rule such as CET-1CEST is not understood.
    ///   - link: the target of /etc/localtime.
    ///   - named: the contents of /etc/timezone.
    package static func system(_ variable: String?, link: String?, named: String?) -> ClockZone {
        if let variable {
            let name = variable.hasPrefix(":") ? String(variable.dropFirst()) : variable
            if name.isEmpty { return utc }
            if let zone = ClockZone(identifier(ofFile: name) ?? name, source: .system) { return zone }
            return ClockZone(
                name: "UTC", source: .system, rules: .gmt,
                note: "TZ=\(variable.prefix(64)) is not the name of a time zone, so UTC was used")
        }
        let name = named?.trimmingCharacters(in: .whitespacesAndNewlines)
        for known in [link.flatMap(identifier(ofFile:)), name].compactMap(\.self) {
            if let zone = ClockZone(known, source: .system) { return zone }
        }
        return ClockZone(
            name: "UTC", source: .system, rules: .gmt, note: "the system's time zone is unknown, so UTC was used")
    }

    /// The name in the path of a file of the zone database; nil for another path.
    private static func identifier(ofFile path: String) -> String? {
        path.range(of: "/zoneinfo/").map { String(path[$0.upperBound...]) }
    }

    /// Seconds east of UTC at an instant.
    func offset(at instant: Double) -> Int { rules.secondsFromGMT(for: Date(timeIntervalSince1970: instant)) }

    /// +02:00
    static func text(offset: Int) -> String {
        let minutes = abs(offset) / 60
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return (offset < 0 ? "-" : "+") + two(minutes / 60) + ":" + two(minutes % 60)
    }

    /// The instant at which a clock in this zone shows a time, in seconds since 1970 UTC.
    ///
    /// Of a time that occurs twice, when clocks are set back, the first one is taken. A time that is skipped, when they
    /// are set forward, is counted with the offset before the change, as on a clock that was not set. Both give a note.
    func instant(of civil: CivilTime) -> (seconds: Double, note: String?) {
        let day = 86_400.0
        // Offsets change by at most a day, and not twice within two days.
        let before = offset(at: civil.seconds - day)
        let after = offset(at: civil.seconds + day)
        let first = civil.seconds - Double(before)
        guard before != after else { return (first, nil) }
        let second = civil.seconds - Double(after)
        let fits = (offset(at: first) == before, offset(at: second) == after)
        let shown = WallClock.text(civil)
        switch fits {
        case (true, true):
            return (
                min(first, second),
                "\(shown) occurs twice in \(name): the first one was taken, at \(Self.text(offset: before))"
            )
        case (false, false):
            return (
                first,
                "\(shown) does not exist in \(name), where clocks were set forward: it was counted with the offset "
                    + "before, \(Self.text(offset: before))"
            )
        case (false, true): return (second, nil)
        case (true, false): return (first, nil)
        }
    }
}
