/// What a clip shows: the JSON file beside it.
struct ClipSidecar: Codable, Equatable {
    /// Names the format and its version.
    static let format = "longtake-clip-1"

    /// The recording that the clip was cut from.
    struct Recording: Codable, Equatable {
        /// Recording ID.
        let id: String
        let path: String
        let camera: String?
        /// When it was recorded; nil if unknown.
        let clock: RecordedTime?
    }

    /// Start and end in seconds.
    struct Span: Codable, Equatable {
        let start: Double
        let end: Double
    }

    /// The video file.
    struct Clip: Codable, Equatable {
        /// The file's name, in the folder of this one.
        let file: String
        let container: String
        let bytes: Int64
        /// Time of its first frame, in seconds on the recording's timeline, as a player of the recording shows it.
        let start: Double
        /// End of its last frame.
        let end: Double
        /// The same in seconds from the recording's first frame.
        let fromFirstFrame: Span
        /// `start` as a time of day, RFC 3339; nil if the recording's start is unknown.
        let startClock: String?
        let endClock: String?
        /// The name of the image of its strongest evidence; nil if it could not be read.
        let thumbnail: String?
        /// What the clip lacks.
        let notes: [String]

        private enum CodingKeys: String, CodingKey {
            case file, container, bytes, start, end, thumbnail, notes
            case fromFirstFrame = "from_first_frame"
            case startClock = "start_clock"
            case endClock = "end_clock"
        }
    }

    /// An interval that an answer was read from.
    struct Item: Codable, Equatable {
        let question: String
        let questionID: String?
        let answer: String
        let evidence: Evidence
        /// The interval in seconds from the clip's first frame, as a player of the clip shows it.
        var inClip: Span?
        let model: String
        /// When the answer was given.
        let created: String

        private enum CodingKeys: String, CodingKey {
            case question, answer, evidence, model, created
            case questionID = "question_id"
            case inClip = "in_clip"
        }

        /// The same item before the clip was cut.
        var planned: Item {
            var item = self
            item.inClip = nil
            return item
        }
    }

    var format = ClipSidecar.format
    let recording: Recording
    /// Seconds before and after the evidence that were asked for.
    let margin: Double
    let clip: Clip
    /// In time order.
    let evidence: [Item]

    /// The strongest interval.
    static func strongest(_ items: [Item]) -> Evidence? {
        items.map(\.evidence).max { ($0.score, -$0.start) < ($1.score, -$1.start) }
    }

    /// All items of both lists in time order, each once.
    static func union(_ items: [Item], _ others: [Item]) -> [Item] {
        var all: [Item] = []
        for item in (items + others).map(\.planned) where !all.contains(item) { all.append(item) }
        return all.sorted {
            ($0.evidence.start, $0.evidence.end, $0.question, $0.created)
                < ($1.evidence.start, $1.evidence.end, $1.question, $1.created)
        }
    }
}
