internal import Media

/// Chooses the frames of a report's evidence that get an image, and reads them from the recordings' files.
struct ReportPictures {
    /// Width of an image in pixels.
    static let width = 320
    /// Most images of one recording, and about how many a report has.
    private static let mostOfRecording = 24
    private static let mostOfReport = 240
    /// Least images of each recording.
    private static let leastOfRecording = 2

    let library: Library
    let cancellation: Cancellation
    /// Bytes of images that the report still has room for.
    private(set) var room: Int

    init(library: Library, room: Int, cancellation: Cancellation) {
        (self.library, self.room, self.cancellation) = (library, room, cancellation)
    }

    /// Adds images to the recordings, or notes about why there are none.
    ///
    /// - Throws: `LongtakeError` `interrupted`.
    mutating func add(to recordings: inout [ReportRecording]) throws {
        let share = Self.mostOfReport / max(recordings.count, 1)
        let most = min(max(share, Self.leastOfRecording), Self.mostOfRecording)
        for index in recordings.indices { try add(to: &recordings[index], most: most) }
    }

    private mutating func add(to recording: inout ReportRecording, most: Int) throws {
        guard let indexID = recording.index else { return }
        let wanted = Self.frames(of: recording)
        guard !wanted.isEmpty else { return }
        let chosen = Array(wanted.prefix(room > 0 ? most : 0))
        recording.picturesLeftOut = wanted.count - chosen.count
        guard !chosen.isEmpty else { return }
        var written = RecordingImages.Written()
        let source: RecordingImages
        do {
            source = try RecordingImages(
                library: library, index: indexID, path: recording.path, cancellation: cancellation)
        } catch let error as LongtakeError where error.code == .unknownRecording {
            recording.notes.append("no images: the index was removed")
            return
        }
        let found = try source.images(of: chosen, into: &written)
        recording.notes += written.notes
        if written.notes.isEmpty, found.count < chosen.count {
            recording.notes.append("some frames can no longer be read")
        }
        for frame in chosen {
            guard let image = found[frame]?.scaled(toWidth: Self.width) else { continue }
            guard room > 0, let jpeg = try? StillImage.encodeJPEG(image.image) else {
                recording.picturesLeftOut += 1
                continue
            }
            let picture = ReportPicture(
                frame: frame, time: image.seconds, width: image.image.width, height: image.image.height, jpeg: jpeg)
            room -= picture.source.utf8.count
            recording.pictures.append(picture)
        }
        recording.pictures.sort { $0.frame < $1.frame }
    }

    /// The frames of all evidence, each once: the strongest of every answer and window first, then the others.
    private static func frames(of recording: ReportRecording) -> [Int] {
        var ranked: [(rank: Int, score: Double, frame: Int)] = []
        for lane in recording.lanes {
            let blocks = lane.blocks.compactMap { block in block.evidence.map { (block.answer.found, [$0]) } }
            let lists = lane.kind == .windows ? blocks : lane.answers.map { ($0.found, $0.evidence) }
            for (found, evidence) in lists where found {
                for (place, one) in evidence.enumerated() {
                    // The windows' images come after those of answers about the whole.
                    ranked.append((lane.kind == .windows ? place + 1 : place, -one.score, one.frame))
                }
            }
        }
        var seen: Set<Int> = []
        return ranked.sorted { $0 < $1 }.map(\.frame).filter { seen.insert($0).inserted }
    }
}
