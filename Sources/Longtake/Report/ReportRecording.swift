/// A recording, as a report shows it.
package struct ReportRecording: Sendable, Encodable {
    /// Recording ID and index ID; nil if it is not indexed.
    package let id: String?
    package let index: String?
    /// The file's path.
    package let path: String
    /// The file's name; among several recordings, the shortest end of its path that tells them apart.
    package private(set) var name: String
    /// The camera's name; nil if unknown.
    package let camera: String?
    /// When it was recorded; nil if unknown.
    package let clock: RecordedTime?
    /// The state of the file now; nil if it is not indexed.
    package let file: String?
    /// The state of the index.
    package let state: String?
    /// Number of frames, and bytes of the index with its prefix cache.
    package let frames: Int?
    package let bytes: Int64?
    /// Start and end of the indexed part in seconds on the file's timeline.
    package let start: Double?
    package let end: Double?
    /// What the run did with it; nil if the report is about no run.
    package var work: Work?
    /// The questions and searches, in the order in which they were first answered.
    package var lanes: [ReportLane]
    /// Questions that are left out because the report would be too large.
    package var lanesLeftOut = 0
    /// The images in the page, in the order of their frames.
    package var pictures: [ReportPicture] = []
    /// Frames of evidence that have no image because the report would be too large.
    package var picturesLeftOut = 0
    /// What is unusual about it, one sentence each.
    package var notes: [String] = []

    /// What a run did with a recording.
    package struct Work: Sendable, Encodable {
        /// `new`, `resumed`, `unchanged`, `stopped` or `failed`.
        package let action: String
        /// Frames that it encoded, answers that it gave, and seconds that it took.
        package let frames: Int
        package let answers: Int
        package let seconds: Double
        /// Why it failed; nil if it did not.
        package let error: String?

        /// Work from its values.
        package init(action: String, frames: Int, answers: Int, seconds: Double, error: String?) {
            (self.action, self.frames, self.answers) = (action, frames, answers)
            (self.seconds, self.error) = (seconds, error)
        }
    }

    /// A recording that is indexed.
    package init(_ summary: RecordingSummary, path: String? = nil, lanes: [ReportLane]) {
        (id, index) = (summary.id, summary.index)
        self.path = path ?? summary.path
        name = Self.name(path ?? summary.path) ?? summary.name
        (camera, clock) = (summary.camera, summary.recorded)
        (file, state) = (summary.file.rawValue, summary.state.rawValue)
        (frames, bytes) = (summary.frames, summary.allBytes)
        (start, end) = (summary.clock.fileTime(0), summary.end)
        self.lanes = lanes
    }

    /// A recording that is no longer indexed: what its answers say.
    package init(path: String, lanes: [ReportLane], camera: String?, clock: RecordedTime?) {
        self.path = path
        name = Self.name(path) ?? path
        (self.camera, self.clock, self.lanes) = (camera, clock, lanes)
        (id, index, file, state, frames, bytes, start, end) = (nil, nil, nil, nil, nil, nil, nil, nil)
    }

    /// Names recordings that are shown together so that they can be told apart.
    static func distinguish(_ all: inout [ReportRecording]) {
        guard all.count > 1 else { return }
        let labels = PathLabels(all.map(\.path))
        for index in all.indices { all[index].name = labels.name(all[index].path) }
    }

    private static func name(_ path: String) -> String? { path.split(separator: "/").last.map(String.init) }

    private enum CodingKeys: String, CodingKey {
        case id, index, path, name, camera, clock, file, state, frames, bytes, start, end, work, lanes, pictures, notes
        case lanesLeftOut = "lanes_left_out"
        case picturesLeftOut = "pictures_left_out"
    }

    /// All evidence of its answers.
    var evidence: [Evidence] { lanes.flatMap(\.answers).flatMap(\.evidence) }

    /// The part of the file's timeline that is drawn; nil if nothing is known of it.
    var extent: ClosedRange<Double>? {
        let starts = [start].compactMap(\.self) + evidence.map(\.start) + lanes.flatMap(\.blocks).map(\.start)
        let ends = [end].compactMap(\.self) + evidence.map(\.end) + lanes.flatMap(\.blocks).map(\.end)
        let possible = -AnswerRecord.lastSecond...AnswerRecord.lastSecond
        guard let first = starts.min(), let last = ends.max(), possible.contains(first), possible.contains(last),
            first < last
        else { return nil }
        return first...last
    }
}
