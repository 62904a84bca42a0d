internal import Foundation

// What editors read: OpenTimelineIO and CMX 3600.

extension AnswerExport {
    /// Times in OTIO are the medium's own: 0 is the recording's first frame.
    func otio(_ cues: [Cue], name: String, path: String, duration: Double?) throws -> String {
        func time(_ seconds: Double) -> [String: Any] {
            ["OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": (seconds * rate).rounded()]
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
            let facts: [String: Any] = [
                "question": cue.record.question, "answer": cue.record.answer, "model": cue.record.model,
                "created": cue.record.created, "found": cue.record.found, "caution": Answer.caution,
            ]
            return [
                "OTIO_SCHEMA": "Marker.2", "name": cue.record.answer, "comment": cue.record.question, "color": "GREEN",
                "marked_range": range(cue.start, cue.end),
                "metadata": ["longtake": facts],
            ]
        }
        let whole = range(0, duration ?? cues.map(\.end).max() ?? 0)
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

    /// Each marker is an event of one frame; its length and text stand on the line behind it.
    func edl(_ cues: [Cue], name: String) -> String {
        var text = "TITLE: \(Self.plain(name))\nFCM: \(isDropFrame ? "" : "NON-")DROP FRAME\n\n"
        for (place, cue) in cues.enumerated() {
            let first = frameNumber(startTimecode + cue.start)
            let (start, next) = (timecode(first), timecode(first + 1))
            let number = String(repeating: "0", count: max(0, 3 - "\(place + 1)".count)) + "\(place + 1)"
            let frames = max(1, frameNumber(startTimecode + cue.end) - first)
            text += "\(number)  001      V     C        \(start) \(next) \(start) \(next)\n"
            text += " |C:ResolveColorBlue |M:\(Self.plain(cue.title)) |D:\(frames)\n\n"
        }
        return text
    }

    /// Without what separates fields.
    private static func plain(_ text: String) -> String {
        text.split { $0.isNewline || $0 == "|" }.joined(separator: " ")
    }

    /// 29.97 and 59.94 count as 30 and 60 with numbers left out.
    var isDropFrame: Bool { abs(rate - 29.97) < 0.005 || abs(rate - 59.94) < 0.005 }

    private func frameNumber(_ seconds: Double) -> Int {
        // A timecode that is given in hours is meant in the clock's hours: 01:00:00:00 is 107,892 frames at 29.97.
        Int((seconds * (isDropFrame ? rate.rounded() * 1000 / 1001 : rate)).rounded())
    }

    /// hh:mm:ss:ff of a frame's number, drop frame with a semicolon (SMPTE 12M).
    package func timecode(_ frame: Int) -> String {
        let perSecond = max(1, Int(rate.rounded()))
        var number = frame
        if isDropFrame {
            // Every minute but each tenth has no first two (of 60: four) numbers.
            let dropped = perSecond / 15
            let (perMinute, perTen) = (60 * perSecond - dropped, 600 * perSecond - 9 * dropped)
            let (tens, rest) = (frame / perTen, frame % perTen)
            number += 9 * dropped * tens
            if rest >= dropped { number += dropped * ((rest - dropped) / perMinute) }
        }
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let seconds = number / perSecond
        return "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60))\(isDropFrame ? ";" : ":")"
            + two(number % perSecond)
    }
}
