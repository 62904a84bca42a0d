internal import Media
package import Store

/// Decides what is known of a recording's camera and start: what is stated, else its path, else its container.
package struct OriginFinder {
    /// What is stated about recordings.
    package let settings: ClockSettings
    /// The zone of times without one.
    private let zone: ClockZone

    /// A finder with these settings; times without a zone are in theirs, else in the system's.
    package init(_ settings: ClockSettings, system: ClockZone = .system) {
        self.settings = settings
        zone = settings.zone ?? system
    }

    static let maxCameraBytes = RecordingOrigin.maxCameraBytes

    /// True for an instant of the years that are accepted.
    static func isPossible(_ instant: Double) -> Bool { RecordingStart.instants.contains(instant) }

    /// Clocks that were never set count from 1904, 1970 or 1980-01-01; dates in containers before are not believed.
    private static let firstOfContainer = 315_619_200.0

    /// The origin of a recording.
    ///
    /// A start that was found in a more reliable way before is kept; one that was found in the same way is replaced.
    /// - Parameters:
    ///   - path: absolute.
    ///   - dates: the container's; nil: those known before.
    ///   - previous: what is known already.
    package func origin(
        of path: InputPath, dates: [String: String]? = nil, previous: RecordingOrigin? = nil
    ) -> RecordingOrigin {
        var origin = previous ?? RecordingOrigin()
        if let dates { origin.dates = dates }
        origin.notes = []
        if settings.start == .unstated, origin.start?.source == .stated { origin.start = nil }
        if settings.camera == "", origin.cameraSource == .stated { (origin.camera, origin.cameraSource) = (nil, nil) }
        let pattern = settings.pattern ?? earlierPattern(origin)
        let match = pattern?.match(path)
        if let pattern, match == nil {
            origin.notes.append("the pattern \(pattern.text) does not match the path")
        }
        if let camera = settings.camera, !camera.isEmpty {
            (origin.camera, origin.cameraSource) = (camera, .stated)
        } else if let camera = match?.camera, camera.utf8.count <= Self.maxCameraBytes, origin.cameraSource != .stated {
            (origin.camera, origin.cameraSource) = (camera, .path)
        }
        let found =
            stated(origin, &origin.notes) ?? match.flatMap { self.start($0, of: pattern, &origin.notes) }
            ?? start(of: origin.dates ?? [:], &origin.notes)
        guard let found else {
            if let previous, previous.start != nil, origin.start == previous.start { origin.notes = previous.notes }
            return origin
        }
        let order = RecordingOrigin.Source.allCases
        let rank = { (source: RecordingOrigin.Source?) in source.flatMap { order.firstIndex(of: $0) } ?? -1 }
        if rank(found.source) >= rank(origin.start?.source) {
            origin.start = found
        } else {
            origin.notes = previous?.notes ?? []
        }
        return origin
    }

    /// The pattern that an earlier start was read with, if it is to be read again in another zone.
    private func earlierPattern(_ origin: RecordingOrigin) -> ClockPattern? {
        guard settings.zone != nil, let start = origin.start, start.source == .path else { return nil }
        return try? ClockPattern(start.detail)
    }

    /// The start that is stated now, or was before if it is to be read again in another zone.
    private func stated(_ origin: RecordingOrigin, _ notes: inout [String]) -> RecordingStart? {
        var given: (time: ClockTime, text: String)?
        if case .at(let time, let text) = settings.start { given = (time, text) }
        if given == nil, settings.zone != nil, let start = origin.start, start.source == .stated {
            given = ClockTime(start.detail).map { ($0, start.detail) }
        }
        guard let given else { return nil }
        return start(
            given.time, source: .stated, detail: given.text, uncertainty: given.time.precision, &notes)
    }

    private func start(
        _ match: ClockPattern.Match, of pattern: ClockPattern?, _ notes: inout [String]
    ) -> RecordingStart? {
        guard let pattern, pattern.hasTime else { return nil }
        if let invalid = match.invalid {
            notes.append("the path has no valid date: \(invalid)")
            return nil
        }
        var (instant, zone) = (match.instant, self.zone)
        var note: String?
        if let civil = match.civil {
            if let offset = match.offset {
                instant = civil.seconds - Double(offset)
                zone = shown(offset: offset, isZulu: false)
            } else {
                (instant, note) = self.zone.instant(of: civil)
            }
        }
        guard let instant, Self.isPossible(instant) else {
            notes.append("the date in the path is not from 1900 to 2099")
            return nil
        }
        let isWritten = match.offset != nil || match.instant != nil
        if let note = note ?? (isWritten ? nil : zone.note) { notes.append(note) }
        return RecordingStart(
            instant: instant, zone: zone.name, zoneSource: zone.source, source: .path, detail: pattern.text,
            uncertainty: pattern.precision)
    }

    /// The first plausible start in a container's metadata.
    private func start(of dates: [String: String], _ notes: inout [String]) -> RecordingStart? {
        for tag in ContainerDates.tags {
            guard let text = dates[tag], let time = ClockTime(text), !time.isDate else { continue }
            let instant = time.instant(in: zone).seconds
            guard Self.isPossible(instant), instant >= Self.firstOfContainer else {
                notes.append("\(tag) \(text) is not believed: the clock was not set, or the file is damaged")
                continue
            }
            if let doubt = Self.doubt(of: tag) { notes.append(doubt) }
            let isExact = tag == ContainerDates.apple
            return start(time, source: .container, detail: tag, uncertainty: isExact ? time.precision : nil, &notes)
        }
        return nil
    }

    /// What is known to be wrong with a tag in many files.
    private static func doubt(of tag: String) -> String? {
        switch tag {
        case ContainerDates.apple: nil
        case ContainerDates.creation:
            "creation_time is in UTC by the format; some cameras write local time, or the time when the recording ended"
        case ContainerDates.modification: "modification_date is when the file was written, at its start or its end"
        default: "\(tag) may be when the recording ended, or when the file was made"
        }
    }

    private func start(
        _ time: ClockTime, source: RecordingOrigin.Source, detail: String, uncertainty: Double?,
        _ notes: inout [String]
    ) -> RecordingStart? {
        let (instant, note) = time.instant(in: zone)
        guard Self.isPossible(instant) else { return nil }
        if let note = note ?? (time.offset == nil ? zone.note : nil) { notes.append(note) }
        let shown = time.offset.map { self.shown(offset: $0, isZulu: time.isZulu) } ?? zone
        return RecordingStart(
            instant: (instant * 1000).rounded() / 1000, zone: shown.name, zoneSource: shown.source, source: source,
            detail: detail, uncertainty: uncertainty)
    }

    /// The zone in which a time with a written offset is shown: the chosen one, else that offset, but not for Z.
    private func shown(offset: Int, isZulu: Bool) -> ClockZone {
        settings.zone != nil || isZulu ? zone : ClockZone(offset: offset, source: .written)
    }
}
