internal import Foundation
internal import Glibc
internal import Media
internal import Store

/// Cuts clips out of a recording: the evidence of answers with some seconds around it, without encoding anything again.
package struct ClipExport {
    /// Seconds around the evidence, if nothing else is asked for.
    package static let defaultMargin = 5.0
    /// The largest margin, in seconds.
    package static let maxMargin = 3600.0

    /// What was written.
    package struct Written: Sendable {
        /// Paths of the clips, in time order; also of those that were there already.
        package var files: [String] = []
        /// How many of them were there already.
        package var unchanged = 0
        /// What the clips lack, one sentence each.
        package var notes: [String] = []
        /// Clips that could not be cut.
        package var failed: [Failure] = []
    }

    /// Seconds by which evidence may end after the last frame: it ends a sampling interval after its own last frame.
    private static let tolerance = 1.0

    private let library: Library
    private let recording: RecordingSummary
    private let margin: Double
    private let cancellation: Cancellation

    /// Clips of one recording.
    ///
    /// - Parameter margin: seconds before and after the evidence.
    package init(
        library: Library, recording: RecordingSummary, margin: Double = ClipExport.defaultMargin,
        cancellation: Cancellation = Cancellation()
    ) {
        (self.library, self.recording, self.margin) = (library, recording, margin)
        self.cancellation = cancellation
    }

    /// Writes the clips of some answers into a folder; those that are complete are left alone.
    ///
    /// - Throws: `Failure` `cannot_write` if the folder or the disk takes no file, `file_changed` and `no_clip` if no
    ///   clip can be cut out of this recording, and what opening the recording throws.
    package func write(_ records: [AnswerRecord], into path: String) throws -> Written {
        var written = Written()
        for record in records { try record.validate() }
        let plans = ClipPlan.plans(records, margin: margin, clock: recording.clock)
        guard !plans.isEmpty else { return written }
        var folder = try ClipFolder(path, recording: recording.id)
        guard plans.contains(where: { folder.clip(for: $0, margin: margin) == nil }) else {
            written.files = plans.compactMap { folder.clip(for: $0, margin: margin) }
            written.unchanged = written.files.count
            return written
        }
        let images = try RecordingImages(
            library: library, index: recording.index, path: recording.path, cancellation: cancellation)
        let source = try images.source()
        let frames = plans.compactMap { source.frame(of: ClipSidecar.strongest($0.items), clock: recording.clock) }
        var remarks = RecordingImages.Written()
        let thumbnails = try images.images(of: frames, into: &remarks)
        written.notes += remarks.notes
        for plan in plans {
            try cancellation.check()
            if let file = folder.clip(for: plan, margin: margin) {
                if !written.files.contains(file) { written.files.append(file) }
                written.unchanged += 1
                continue
            }
            do {
                let (file, notes) = try cut(plan, source, &folder, thumbnails)
                if !written.files.contains(file) { written.files.append(file) }
                written.notes += notes
            } catch let error as MediaError where error.code != .cannotWrite {
                try cancellation.check()
                let what = "\(recording.path): \(TimeText.clock(plan.start)) to \(TimeText.clock(plan.end))"
                written.failed.append(Failure(MediaError(code: error.code, message: "\(what): \(error.message)")))
            }
        }
        return written
    }

    private func cut(
        _ plan: ClipPlan, _ source: RecordingImages.Source, _ folder: inout ClipFolder, _ images: [Int: TimedImage]
    ) throws -> (file: String, notes: [String]) {
        let clock = recording.clock
        var request = ClipRequest(
            anchor: source.anchor, start: plan.start, end: plan.end, maxBytes: 2 * source.file.size + 64 << 20)
        request.recorded = clock.wall.map { $0.instant(clock.fileTime(0)) }
        return try folder.withTemporary { temporary, descriptor in
            let made: ClipResult
            do {
                made = try ClipCopy.copy(source.file, request, request: source.request, to: descriptor) {
                    [cancellation] in cancellation.isCancelled
                }
            } catch let error as MediaError where error.code == .cannotWrite {
                throw Failure.cannotWrite(folder.path, error)
            }
            // A container that was tried in vain may have left more bytes.
            guard ftruncate(descriptor, off_t(made.bytes)) == 0 else {
                throw Failure.cannotWrite(folder.path, MediaError.cannotWrite(errno: errno))
            }
            try check(plan, made)
            let name = Self.name(clock.fileTime(made.start), clock.fileTime(made.end))
            let items = ClipSidecar.union(folder.sidecars[name]?.evidence ?? [], plan.items)
            let strongest = source.frame(of: ClipSidecar.strongest(items), clock: clock)
            let image = strongest.flatMap { images[$0] }.flatMap { try? StillImage.encodePNG($0.image) }
            let sidecar = sidecar(name, made, items, hasImage: image != nil)
            try folder.publish(temporary, descriptor, name: name, sidecar, image: image)
            return ("\(folder.path)/\(sidecar.clip.file)", made.notes.map { "\(sidecar.clip.file): \($0)" })
        }
    }

    /// Checks that the clip has the frames that the answers were read from.
    private func check(_ plan: ClipPlan, _ made: ClipResult) throws {
        let whole = recording.duration ?? .infinity
        for item in plan.items {
            let start = recording.clock.fromFirstFrame(item.evidence.start)
            let end = min(recording.clock.fromFirstFrame(item.evidence.end), whole)
            guard made.start <= start + 0.001, start < made.end, end - made.end <= Self.tolerance else {
                throw MediaError.noClip(
                    "the packets found there are those of \(TimeText.clock(made.start)) to \(TimeText.clock(made.end)); "
                        + "the frames may be in another stream, or their timestamps wrong")
            }
        }
    }

    private func sidecar(
        _ name: String, _ made: ClipResult, _ items: [ClipSidecar.Item], hasImage: Bool
    ) -> ClipSidecar {
        let clock = recording.clock
        func time(_ seconds: Double) -> Double { clock.fileTime(seconds) }
        func rounded(_ seconds: Double) -> Double { (seconds * 1e6).rounded() / 1e6 }
        let start = time(made.start)
        let clip = ClipSidecar.Clip(
            file: "\(name).\(made.container.suffix)", container: made.container.rawValue, bytes: made.bytes,
            start: start, end: time(made.end),
            fromFirstFrame: .init(start: rounded(made.start), end: rounded(made.end)),
            startClock: clock.dayTime(start), endClock: clock.dayTime(time(made.end)),
            thumbnail: hasImage ? name + ".png" : nil, notes: made.notes)
        return ClipSidecar(
            recording: .init(
                id: recording.id, path: recording.path, camera: recording.camera, clock: recording.recorded),
            margin: margin, clip: clip,
            evidence: items.map { item in
                var item = item
                item.inClip = .init(
                    start: rounded(item.evidence.start - start), end: rounded(item.evidence.end - start))
                return item
            })
    }

    /// The name of a clip by its times in seconds: 00-12-30.5--00-12-45.04.
    static func name(_ start: Double, _ end: Double) -> String { "\(stamp(start))--\(stamp(end))" }

    private static func stamp(_ seconds: Double) -> String {
        var text = AnswerExport.stamp(AnswerExport.thousandths(seconds), ".").replacingOccurrences(of: ":", with: "-")
        while text.hasSuffix("0"), !text.hasSuffix(".0") { text.removeLast() }
        return text
    }

    /// The name of a recording's own folder among those of others: its file's name in plain letters, and its ID.
    package static func folder(of recording: RecordingSummary) -> String {
        let stem = (recording.name as NSString).deletingPathExtension.unicodeScalars.map { scalar -> Character in
            let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || (48...57).contains(scalar.value))
            return isPlain || "-_".unicodeScalars.contains(scalar) ? Character(scalar) : "_"
        }
        return (stem.isEmpty ? "recording" : String(stem.prefix(80))) + "-" + recording.id.suffix(8)
    }
}
