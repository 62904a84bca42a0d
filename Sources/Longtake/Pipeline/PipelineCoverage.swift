internal import Glibc
internal import Store

/// What of one recording is new to a pipeline's questions.
///
/// A file that has grown has another content, and so is another recording with another index. It is the earlier one with
/// more at its end if it begins with all bytes of the earlier file.
struct PipelineCoverage {
    /// End of the recording's last frame, in seconds on the file's timeline.
    let end: Double
    /// The earlier indexes of the recording, the shortest first.
    let earlier: [String]
    private let manifest: Manifest
    private let path: String
    private let pipeline: String
    /// Of this recording and of what it has grown from.
    private let rows: [Catalog.CoverageRow]

    /// Finds out what earlier runs covered; reads the file once if there were shorter ones at its path.
    ///
    /// - Throws: `StoreError`; `LongtakeError` `interrupted`.
    init(
        _ recording: IndexedRecording, path: InputPath, pipeline: String, library: Library, cancellation: Cancellation
    ) throws {
        let reader = try library.reader(recording.index)
        manifest = reader.manifest
        self.pipeline = pipeline
        self.path = path.absolute.description
        let frame = manifest.key.frameSeconds
        end = manifest.clock.fileTime((reader.entries.last?.gridTime ?? -frame) + frame)
        let (content, size) = (manifest.key.content, manifest.fileSize)
        let all = try library.catalog.coverage(pipeline: pipeline, path: self.path, indexID: recording.index)
        let shorter = all.filter { $0.content != content && $0.size < size }
        var hashes: [Int64: String] = [:]
        if !shorter.isEmpty, let descriptor = try? path.open(O_RDONLY | O_CLOEXEC | O_NONBLOCK) {
            defer { close(descriptor) }
            hashes = try ContentHash.sha256(fileDescriptor: descriptor, firstBytes: shorter.map(\.size)) {
                try cancellation.check()
            }
        }
        rows = all.filter { $0.content == content || hashes[$0.size] == $0.content && $0.size < size }
        var seen: Set<String> = [recording.index]
        earlier = rows.sorted { $0.size < $1.size }.map(\.indexID).filter { seen.insert($0).inserted }
    }

    private var signature: String { IndexSettings.signature(of: manifest.key) }

    /// Whether a time is later than another by more than rounding: by half a frame.
    func isLater(_ time: Double, than other: Double) -> Bool { time > other + manifest.key.frameSeconds / 2 }

    /// Start of what is new to a question, in seconds on the file's timeline; nil: all of it is.
    ///
    /// It is half a frame before the first new frame, so that rounding does not matter.
    func start(of question: PipelineQuestion) -> Double? {
        let key = question.coverageKey(signature)
        return rows.filter { $0.question == key }.map(\.end).max().map { $0 - manifest.key.frameSeconds / 2 }
    }

    /// What the catalog keeps once the question was asked.
    func row(_ question: PipelineQuestion) -> Catalog.CoverageRow {
        Catalog.CoverageRow(
            pipeline: pipeline, question: question.coverageKey(signature), path: path, indexID: manifest.key.id,
            content: manifest.key.content, size: manifest.fileSize, end: min(end, question.to ?? .infinity))
    }
}
