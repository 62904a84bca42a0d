/// What is known of when and where recordings were made, besides what their containers say.
package struct ClockSettings: Sendable, Equatable {
    /// A start as a person states it.
    package enum Start: Sendable, Equatable {
        /// The recording started at this time; the text is as it was given.
        case at(ClockTime, text: String)
        /// What was stated before is forgotten.
        case unstated
    }

    /// Reads the camera and the start from paths; nil: from containers only.
    package var pattern: ClockPattern?
    /// The zone of times without one, in which times of day are shown; nil: the system's.
    package var zone: ClockZone?
    /// The start of the recording; for one recording only.
    package var start: Start?
    /// The name of the camera; empty: what was stated before is forgotten; nil: the pattern's.
    package var camera: String?
    /// Which recordings and times are meant.
    package var selection = RecordingSelection()

    /// Settings that state nothing: the start is the container's, the zone the system's.
    package init() {}

    /// True if nothing is stated about recordings, so that what is known of indexed ones stays as it is.
    var isEmpty: Bool { pattern == nil && zone == nil && start == nil && camera == nil }

    /// Parses a start: RFC 3339 with or without offset, or "none".
    ///
    /// - Throws: `LongtakeError` `bad_request` for other text, a date without a time of day, and a year before 1900 or
    ///   after 2099.
    package static func start(_ text: String) throws -> Start {
        if text == "none" { return .unstated }
        func fail(_ problem: String) -> LongtakeError {
            LongtakeError(code: .badRequest, message: "invalid start \"\(text.prefix(64))\"; \(problem)")
        }
        guard let time = ClockTime(text) else {
            throw fail("use 2026-11-29T04:00:00, also with Z or an offset such as +01:00, or none")
        }
        guard !time.isDate else { throw fail("give a time of day too, as in \(text)T00:00:00") }
        guard OriginFinder.isPossible(time.civil.seconds) else { throw fail("use a year from 1900 to 2099") }
        return .at(time, text: text)
    }

    /// Checks a camera's name.
    ///
    /// - Throws: `LongtakeError` `bad_request` for one that is too long.
    package static func camera(_ name: String) throws -> String {
        guard name.utf8.count <= OriginFinder.maxCameraBytes else {
            throw LongtakeError(
                code: .badRequest,
                message: "the camera's name has \(name.utf8.count) bytes; use at most \(OriginFinder.maxCameraBytes)")
        }
        return name
    }
}
