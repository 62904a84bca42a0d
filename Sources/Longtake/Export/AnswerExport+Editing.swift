internal import Foundation

// Formats for editing programs: OpenTimelineIO and CMX 3600.

extension AnswerExport {
    /// An OTIO timeline; its times are the medium's own: 0 is the start of the file's timeline.
    func otio(_ cues: [Cue], name: String, path: String, end: Double?) throws -> String {
        func time(_ seconds: Double) -> [String: Any] {
            ["OTIO_SCHEMA": "RationalTime.1", "rate": rate.value, "value": (seconds * rate.value).rounded()]
        }
        func range(_ start: Double, _ end: Double) -> [String: Any] {
            ["OTIO_SCHEMA": "TimeRange.1", "start_time": time(start), "duration": time(max(end - start, 0))]
        }
        func item(_ schema: String, _ name: String, _ more: [String: Any]) -> [String: Any] {
            let common: [String: Any] = [
                "OTIO_SCHEMA": schema, "name": name, "metadata": [String: Any](), "effects": [Any](),
                "markers": [Any](), "enabled": true, "source_range": NSNull(),
            ]
            return common.merging(more) { _, new in new }
        }
        let markers: [[String: Any]] = cues.map { cue in
            var metadata: [String: Any] = [
                "question": cue.record.question, "answer": cue.record.answer, "model": cue.record.model,
                "created": cue.record.created, "found": cue.record.found, "caution": Answer.caution,
            ]
            if cue.days.count == 2 { (metadata["start_clock"], metadata["end_clock"]) = (cue.days[0], cue.days[1]) }
            if let camera = cue.record.camera { metadata["camera"] = camera }
            return [
                "OTIO_SCHEMA": "Marker.2", "name": cue.record.answer, "comment": cue.record.question, "color": "GREEN",
                "marked_range": range(cue.start, cue.end),
                "metadata": ["longtake": metadata],
            ]
        }
        let whole = range(0, end ?? cues.map(\.end).max() ?? 0)
        let media: [String: Any] = [
            "OTIO_SCHEMA": "ExternalReference.1", "name": name, "metadata": [String: Any](),
            "target_url": path.hasPrefix("/") ? URL(fileURLWithPath: path).absoluteString : path,
            "available_range": whole,
        ]
        let clip = item("Clip.1", name, ["source_range": whole, "media_reference": media, "markers": markers])
        let track = item("Track.1", "V1", ["kind": "Video", "children": [clip]])
        let timeline: [String: Any] = [
            "OTIO_SCHEMA": "Timeline.1", "name": name, "metadata": [String: Any](), "global_start_time": NSNull(),
            "tracks": item("Stack.1", "tracks", ["children": [track]]),
        ]
        let options: JSONSerialization.WritingOptions = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try JSONSerialization.data(withJSONObject: timeline, options: options), as: UTF8.self)
            + "\n"
    }

    /// A CMX 3600 list: each marker is an event of one frame, with its length and text on the next line.
    ///
    /// An editor takes one marker per frame, so cues that begin at the same frame become one event.
    /// - Throws: `LongtakeError` `bad_request` for a rate, a start or a time that has no time code.
    func edl(_ cues: [Cue], name: String) throws -> String {
        let code = try Timecode(rate: rate)
        let first = try firstFrame(code)
        var text = "TITLE: \(Self.plain(name))\nFCM: \(rate.isDropFrame ? "" : "NON-")DROP FRAME\n\n"
        let spans = try Self.spans(cues) { seconds in
            guard let frame = code.frame(at: seconds), frame < code.perDay - first - 1 else {
                throw LongtakeError(
                    code: .badRequest,
                    message:
                        "\(TimeText.clock(seconds)) in the recording is past the 24 hours of an EDL's time codes, which "
                        + "start at \(code.text(first) ?? ""); choose an earlier start, or write otio")
            }
            return first + frame
        }
        for (index, span) in spans.enumerated() {
            guard let start = code.text(span.first), let next = code.text(span.first + 1) else { continue }
            let number = String(repeating: "0", count: max(0, 3 - "\(index + 1)".count)) + "\(index + 1)"
            text += "\(number)  001      V     C        \(start) \(next) \(start) \(next)\n"
            text += " |C:ResolveColorBlue |M:\(Self.plain(span.title)) |D:\(span.last - span.first)\n\n"
        }
        return text
    }

    /// Frame number of the label given to the recording's start.
    private func firstFrame(_ code: Timecode) throws -> Int {
        let whole = startTimecode.rounded(.down)
        let frames = startFrames + Int(saturating: (startTimecode - whole) * Double(rate.nominal))
        guard let seconds = Int(exactly: whole), let first = code.frame(label: seconds, frames: frames) else {
            throw LongtakeError(
                code: .badRequest,
                message:
                    "invalid start time code, \(TimeText.number(startTimecode)) s and \(startFrames) frames; use "
                    + "00:00:00:00 to 23:59:59:\(rate.nominal - 1)")
        }
        return first
    }

    /// The text without field separators.
    private static func plain(_ text: String) -> String {
        text.split { $0.isNewline || $0 == "|" }.joined(separator: " ")
    }
}
