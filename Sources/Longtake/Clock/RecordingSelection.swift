internal import Foundation
internal import Store

/// Selects recordings by camera, and recordings and their parts by time of day.
package struct RecordingSelection: Sendable, Equatable {
    /// Start of the window, in seconds since 1970 UTC; nil: no start.
    package var since: Double?
    /// End of the window, not included; nil: no end.
    package var until: Double?
    /// Names of cameras; empty: all, also recordings without one.
    package var cameras: [String] = []

    /// Selects everything.
    package init() {}

    /// True if everything is selected.
    package var isEmpty: Bool { !hasWindow && cameras.isEmpty }
    /// True if only a window is selected.
    package var hasWindow: Bool { since != nil || until != nil }

    /// Sets the window and the cameras from text.
    ///
    /// - Parameters:
    ///   - since, until: RFC 3339 with or without offset, a date, or a duration before `now` such as 2h or 7d; nil: no
    ///     limit. A date alone is its start, and as `until` its end.
    ///   - zone: the zone of times without an offset; nil: the system's.
    /// - Throws: `LongtakeError` `bad_request` for invalid text and an empty window.
    package init(
        since: String?, until: String?, cameras: [String], zone: ClockZone? = nil,
        now: Double = Date().timeIntervalSince1970
    ) throws {
        let zone = zone ?? .system
        self.since = try since.map { try Self.instant($0, "since", zone, now: now, isEnd: false) }
        self.until = try until.map { try Self.instant($0, "until", zone, now: now, isEnd: true) }
        self.cameras = cameras
        if let first = self.since, let last = self.until, first >= last {
            throw LongtakeError(
                code: .badRequest, message: "no time is since \(since ?? "") and until \(until ?? ""); swap them")
        }
    }

    private static func instant(
        _ text: String, _ name: String, _ zone: ClockZone, now: Double, isEnd: Bool
    ) throws -> Double {
        if let time = ClockTime(text) {
            guard time.isDate, isEnd else { return time.instant(in: zone).seconds }
            // The day's end is the next day's start, which need not be 24 hours later.
            return zone.instant(of: CivilTime(seconds: time.civil.seconds + 86_400)).seconds
        }
        if let seconds = TimeText.seconds(text), seconds <= 1e9, text.last?.isLetter == true { return now - seconds }
        throw LongtakeError(
            code: .badRequest,
            message: "invalid time \"\(text.prefix(64))\" (\(name)); use a duration such as 2h or 7d, a date or a time "
                + "such as 2026-11-29T04:00:00+01:00")
    }

    /// Whether a recording is selected.
    package enum Verdict: Sendable, Equatable {
        case selected
        /// It is of another camera, or its camera is unknown.
        case otherCamera
        /// It was recorded at another time.
        case otherTime
        /// A window is selected, and the recording's start is unknown.
        case unknownStart
    }

    /// Whether a recording is selected by its camera and its time.
    ///
    /// - Parameters:
    ///   - end: the recording's end in seconds on the file's timeline; nil if unknown.
    package func verdict(camera: String?, clock: RecordingClock, end: Double?) -> Verdict {
        guard cameras.isEmpty || camera.map(cameras.contains) == true else { return .otherCamera }
        guard hasWindow else { return .selected }
        guard let wall = clock.wall else { return .unknownStart }
        if let until, wall.instant(clock.start) >= until { return .otherTime }
        if let since, let end, wall.instant(end) <= since { return .otherTime }
        return .selected
    }

    /// Checks that every selected camera is among those of some recordings.
    ///
    /// - Throws: `LongtakeError` `bad_request` with the names that exist.
    package func checkCameras(_ known: [String?]) throws {
        let names = Set(known.compactMap(\.self))
        guard let unknown = cameras.first(where: { !names.contains($0) }) else { return }
        let listed = names.sorted().prefix(10).joined(separator: ", ") + (names.count > 10 ? ", …" : "")
        let near = Spelling.suggestion(for: unknown, among: Array(names)).map { "; did you mean \($0)?" } ?? ""
        throw LongtakeError(
            code: .badRequest,
            message: "no recording of a camera \"\(unknown.prefix(64))\"; "
                + (names.isEmpty ? "no recording has a camera's name" : "cameras: \(listed)") + near,
            remedy: names.isEmpty ? .clock : nil)
    }

    /// What a selection left out, one sentence each.
    ///
    /// - Parameters:
    ///   - unknown: number of recordings whose start is unknown.
    ///   - selected: number of those that are selected.
    package func notes(unknown: Int, selected: Int) -> [String] {
        var notes: [String] = []
        if unknown > 0 {
            notes.append(
                "\(counted(unknown, "recording was", "recordings were")) left out: it is not known when "
                    + "\(unknown == 1 ? "it" : "they") started")
        }
        if selected == 0, !isEmpty { notes.append("no recording of this time and camera") }
        return notes
    }

    /// The window on a recording's timeline; nil if the recording's start is unknown.
    package func range(on clock: RecordingClock) -> (from: Double?, to: Double?)? {
        guard hasWindow else { return (nil, nil) }
        return clock.wall.map { wall in (since.map(wall.fileTime), until.map(wall.fileTime)) }
    }

    /// The part of [from, to) in the window, both in seconds on the timeline of a recording.
    ///
    /// - Throws: `LongtakeError` `bad_request` for a recording whose start is unknown.
    func narrowed(
        from: Double?, to: Double?, on clock: RecordingClock, of name: String
    ) throws -> (from: Double?, to: Double?) {
        guard let window = range(on: clock) else { throw Self.unknownStart(name) }
        return ([from, window.from].compactMap(\.self).max(), [to, window.to].compactMap(\.self).min())
    }

    /// The error for a recording whose start is unknown.
    static func unknownStart(_ name: String) -> LongtakeError {
        LongtakeError(
            code: .badRequest,
            message: "\(name): it is not known when this recording started, so no time of day selects a part of it; "
                + "state its start or a pattern for its path", remedy: .clock)
    }
}
