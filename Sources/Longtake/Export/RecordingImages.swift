internal import Foundation
internal import Media
internal import Store

/// Extracts images from the file of an indexed recording, as long as the file is there and unchanged.
package struct RecordingImages {
    /// Default number of images on the contact sheet of a whole recording.
    package static let defaultCount = 24

    private let library: Library
    private let manifest: Manifest
    private let path: InputPath
    private let cancellation: Cancellation

    /// The files written, and notes about images that could not be.
    package struct Written: Sendable, Codable {
        /// Paths of the files.
        package var files: [String] = []
        /// Why images are missing, one sentence each.
        package var notes: [String] = []

        /// Nothing written yet.
        package init() {}
    }

    /// Images of the recording with the given index.
    ///
    /// - Parameters:
    ///   - index: the index's ID.
    ///   - path: the recording's file; nil: the path in the catalog.
    /// - Throws: `LongtakeError` `unknown_recording`.
    package init(library: Library, index: String, path: String? = nil, cancellation: Cancellation = Cancellation())
        throws
    {
        guard let manifest = try? library.cache.manifest(indexID: index) else { throw LongtakeError.unknown(index) }
        self.library = library
        self.manifest = manifest
        // The given path is used if it exists; one that is not UTF-8 is lost in text and comes from the catalog.
        self.path = path.map { InputPath($0) }.flatMap { $0.exists ? $0 : nil } ?? library.currentPath(of: manifest)
        self.cancellation = cancellation
    }

    /// Writes one PNG per evidence interval, of its strongest frame, and a contact sheet of all of them.
    ///
    /// - Parameter prefix: prepended to the files' names.
    /// - Throws: `Failure` if the folder cannot be written to; a missing or changed recording is a note.
    package func thumbnails(of evidence: [Evidence], into folder: String, prefix: String = "") throws -> Written {
        var written = Written()
        guard !evidence.isEmpty else { return written }
        guard let found = try frames(Set(evidence.map(\.frame)), into: &written) else { return written }
        var output = try ThumbnailFolder(folder, prefix: prefix)
        for (index, interval) in evidence.enumerated() {
            guard let frame = found[interval.frame] else {
                written.notes.append("thumbnails: frame \(interval.frame) can no longer be read")
                continue
            }
            written.files.append(try output.write(frame, number: index + 1))
        }
        if let file = try output.writeContactSheet() { written.files.append(file) }
        return written
    }

    /// Writes one PNG with `count` evenly spaced frames of the whole recording.
    ///
    /// - Throws: `Failure` if it cannot be written; a missing or changed recording is a note.
    package func contactSheet(to file: String, count: Int = RecordingImages.defaultCount) throws -> Written {
        var written = Written()
        let frames = min(max(count, 1), max(manifest.frames, 1))
        let frameNumbers = (0..<frames).map { $0 * manifest.frames / frames }
        let found = try images(of: frameNumbers, into: &written)
        let images = found.sorted { $0.key < $1.key }.map { $0.value.scaled(toWidth: ThumbnailFolder.sheetWidth) }
        guard let image = ContactSheet(images).image() else { return written }
        try ThumbnailFolder.write(image, to: file)
        written.files.append(file)
        return written
    }

    /// Frames by index frame number, no wider than a thumbnail; failures are notes.
    func images(of frameNumbers: [Int], into written: inout Written) throws -> [Int: TimedImage] {
        let wanted = Set(frameNumbers).filter { (0..<manifest.frames).contains($0) }
        guard !wanted.isEmpty else { return [:] }
        return try frames(wanted, into: &written) ?? [:]
    }

    /// The wanted frames, no wider than a thumbnail; nil with a note if the file is missing or has changed.
    ///
    /// Each is decoded from the key frame before it. Frames that seeking cannot find reliably come from one pass over
    /// the file: containers that cannot seek, frames without time stamps, recordings with time discontinuities.
    private func frames(_ wanted: Set<Int>, into written: inout Written) throws -> [Int: TimedImage]? {
        guard !path.isStandardInput else {
            written.notes.append("thumbnails: no images: the recording came from a pipe")
            return nil
        }
        do {
            let file = try path.open(cancellation: cancellation)
            guard try isSame(file) else {
                written.notes.append("thumbnails: no images: \(path) has changed since it was indexed")
                return nil
            }
            var found: [Int: TimedImage] = [:]
            var frame = Frame()
            for request in stills(wanted) {
                let stream = try FrameStream(file, request: request) { [cancellation] in cancellation.isCancelled }
                defer { stream.cancel() }
                // Frames that seeking does not find are read in the pass below.
                while (try? stream.next(into: &frame)) == true {
                    try cancellation.check()
                    found[frame.index] = thumbnail(frame)
                }
                try cancellation.check()
            }
            let missing = wanted.subtracting(found.keys)
            guard let first = missing.min(), let last = missing.max() else { return found }
            var request = manifest.key.samplingOptions.request(.native)
            (request.firstIndex, request.maxFrames) = (first, last + 1)
            let stream = try FrameStream(file, request: request) { [cancellation] in cancellation.isCancelled }
            defer { stream.cancel() }
            while found.count < wanted.count, try stream.next(into: &frame) {
                try cancellation.check()
                if missing.contains(frame.index) { found[frame.index] = thumbnail(frame) }
            }
            return found
        } catch let error as LongtakeError where error.code == .interrupted {
            throw error
        } catch {
            // An interruption while waiting for a worker surfaces as the worker's own error; report the interruption.
            try cancellation.check()
            written.notes.append("thumbnails: \(Failure(error, subject: path.description).message)")
            return nil
        }
    }

    private func thumbnail(_ frame: Frame) -> TimedImage {
        let image = RGBImage(width: frame.width, height: frame.height, pixels: frame.rgb)
        return TimedImage(image: image, seconds: manifest.clock.fileTime(frame.gridTime))
            .scaled(toWidth: ThumbnailFolder.width)
    }

    /// Images requested from one worker: the request is a command-line argument, limited to 128 KiB (MAX_ARG_STRLEN).
    private static let stillsPerRequest = 1000

    /// Requests that seek to the wanted frames; empty if the index's times are not the file's.
    private func stills(_ wanted: Set<Int>) -> [FrameRequest] {
        guard hasTimesOfFile, let reader = try? library.reader(manifest.key.id) else {
            return []
        }
        let frameNumbers = wanted.filter { reader.entries.indices.contains($0) }.sorted()
        return stride(from: 0, to: frameNumbers.count, by: Self.stillsPerRequest).map { start in
            var request = manifest.key.samplingOptions.request(.native)
            let end = min(start + Self.stillsPerRequest, frameNumbers.count)
            request.stills = frameNumbers[start..<end].map {
                FrameRequest.Still(index: $0, pts: reader.entries[$0].pts)
            }
            return request
        }
    }

    /// False if timestamps were changed while indexing, or occur twice in the file.
    private var hasTimesOfFile: Bool {
        let isUnreliable = ["discontinuities", "frames_out_of_order"].contains { manifest.counters[$0] ?? 0 > 0 }
        let codes = ["stray_times", "discontinuity", "no_timestamps"]
        return !isUnreliable
            && !manifest.warnings.contains { warning in codes.contains { warning.hasPrefix($0 + ": ") } }
    }

    /// The open file of the recording, with what ties its timestamps to the index.
    struct Source {
        let file: RecordingFile
        /// Selects the stream that was indexed.
        let request: FrameRequest
        let anchor: ClipRequest.Anchor
        fileprivate let entries: [FrameEntry]

        /// The index frame that shows an interval best; nil if the index has none of it.
        func frame(of evidence: Evidence?, clock: RecordingClock) -> Int? {
            guard let evidence else { return nil }
            let start = clock.fromFirstFrame(evidence.start) - 0.001
            let times = start...max(start, clock.fromFirstFrame(evidence.end))
            let frame = evidence.frame
            // Answers read from a file may be about another index of the recording.
            if entries.indices.contains(frame), times.contains(entries[frame].gridTime) { return frame }
            return entries.firstIndex { times.contains($0.gridTime) }
        }
    }

    /// Opens the recording, which must be the one that was indexed, to copy from it.
    ///
    /// - Throws: `Failure` `no_clip` for a recording from a pipe, and for one whose timestamps jump; `file_changed`;
    ///   what opening the file throws.
    func source() throws -> Source {
        func noClip(_ what: String) -> Failure {
            Failure(code: "no_clip", message: "\(path): no clip: \(what)", exitCode: Exit.input)
        }
        guard !path.isStandardInput else { throw noClip("the recording came from a pipe") }
        let file: RecordingFile
        do { file = try path.open(cancellation: cancellation) } catch {
            throw Failure(error, subject: path.description)
        }
        guard try isSame(file) else {
            throw Failure(
                code: "file_changed",
                message: "\(path): has changed since it was indexed; index it again, and ask again",
                exitCode: Exit.input)
        }
        guard hasTimesOfFile else {
            throw noClip("its timestamps jump or are missing, so that a part cannot be found by its times")
        }
        let reader = try library.reader(manifest.key.id)
        guard let first = reader.entries.first else { throw noClip("its index has no frames") }
        return Source(
            file: file, request: manifest.key.samplingOptions.request(.native),
            anchor: .init(pts: first.pts, seconds: first.ptsSeconds), entries: reader.entries)
    }

    /// Compares with the catalog's entry for the path or, if it has none, with the content hash.
    private func isSame(_ file: RecordingFile) throws -> Bool {
        guard file.size == manifest.fileSize else { return false }
        if let known = try library.catalog.find(path: file.path, file.fingerprint) {
            return known.content == manifest.key.content
        }
        return try ContentHash.sha256(fileDescriptor: file.descriptor) { _ in try cancellation.check() }
            == manifest.key.content
    }
}
