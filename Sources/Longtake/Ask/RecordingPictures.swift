internal import Foundation
internal import Media
internal import Store

/// Pictures out of the file that a recording was indexed from, where that is still there and the same.
public struct RecordingPictures {
    /// Widths in pixels: of a thumbnail, and of a picture on a contact sheet.
    static let thumbnailWidth = 640
    static let sheetWidth = 240
    /// Pictures on the contact sheet of a whole recording.
    public static let defaultCount = 24

    private let library: Library
    private let manifest: Manifest
    private let path: InputPath
    private let cancellation: Cancellation

    /// What was written, and why something was not.
    public struct Written: Sendable, Codable {
        public var files: [String] = []
        public var notes: [String] = []

        public init() {}
    }

    /// - Parameters:
    ///   - index: the index's id.
    ///   - path: where the file is; nil: where the catalog knows it to be.
    /// - Throws: `LongtakeError` `unknown_recording`.
    public init(library: Library, index: String, path: String? = nil, cancellation: Cancellation = Cancellation())
        throws
    {
        guard let manifest = try? library.cache.manifest(indexID: index) else { throw LongtakeError.unknown(index) }
        self.library = library
        self.manifest = manifest
        // What was typed says the path, unless it cannot be said as text.
        self.path = path.map { InputPath($0) }.flatMap { $0.exists ? $0 : nil } ?? library.currentPath(of: manifest)
        self.cancellation = cancellation
    }

    /// Writes one PNG per stretch of evidence, of its strongest frame, and a contact sheet of all of them.
    ///
    /// - Parameter prefix: what the files' names begin with.
    /// - Throws: `Failure` when the folder cannot be written to; a file that is gone or changed is a note.
    public func thumbnails(of evidence: [Evidence], into folder: String, prefix: String = "") throws -> Written {
        var written = Written()
        guard !evidence.isEmpty else { return written }
        let options = manifest.key.samplingOptions
        var request = options.request(.native)
        request.firstIndex = evidence.map(\.frame).min() ?? 0
        request.maxFrames = (evidence.map(\.frame).max() ?? 0) + 1
        let wanted = Set(evidence.map(\.frame))
        guard let found = try frames(request, wanted: wanted, into: &written) else { return written }
        try Self.makeFolder(folder)
        var sheet: [(image: RGBImage, seconds: Double)] = []
        for (place, stretch) in evidence.enumerated() {
            guard let frame = found[stretch.frame] else {
                written.notes.append("thumbnails: frame \(stretch.frame) cannot be read any more")
                continue
            }
            let clock = TimeText.clock(frame.seconds).split(separator: ":").joined(separator: "-")
            let file = "\(folder)/\(prefix)\(place + 1)-\(clock).png"
            try Self.write(ContactSheet.scaled(frame.image, width: Self.thumbnailWidth), to: file)
            written.files.append(file)
            sheet.append((ContactSheet.scaled(frame.image, width: Self.sheetWidth), frame.seconds))
        }
        if let image = ContactSheet(sheet).image() {
            let file = "\(folder)/\(prefix)contact-sheet.png"
            try Self.write(image, to: file)
            written.files.append(file)
        }
        return written
    }

    /// Writes one PNG with pictures from all over the recording.
    ///
    /// - Throws: `Failure` when it cannot be written; a file that is gone or changed is a note.
    public func contactSheet(to file: String, count: Int = RecordingPictures.defaultCount) throws -> Written {
        var written = Written()
        let frames = min(max(count, 1), max(manifest.frames, 1))
        let length = Double(manifest.frames) * manifest.key.frameSeconds
        var request = FrameRequest(output: .native)
        request.stream = manifest.key.samplingOptions.stream
        request.framesPerSecond = Double(frames) / max(length, 0.001)
        request.maxFrames = frames
        guard let found = try self.frames(request, wanted: Set(0..<frames), into: &written) else { return written }
        let pictures = found.sorted { $0.key < $1.key }.map {
            (image: ContactSheet.scaled($0.value.image, width: Self.sheetWidth), seconds: $0.value.seconds)
        }
        guard let image = ContactSheet(pictures).image() else { return written }
        try Self.write(image, to: file)
        written.files.append(file)
        return written
    }

    /// Frames by their numbers in the index, no wider than a thumbnail; what cannot be had is a note.
    ///
    /// Those that lie near each other are decoded in one go.
    func pictures(_ numbers: [Int], into written: inout Written) throws -> [Int: (image: RGBImage, seconds: Double)] {
        var found: [Int: (image: RGBImage, seconds: Double)] = [:]
        var group: [Int] = []
        func decode() throws -> Bool {
            guard let first = group.first, let last = group.last else { return true }
            var request = manifest.key.samplingOptions.request(.native)
            request.firstIndex = first
            request.maxFrames = last + 1
            guard let pictures = try frames(request, wanted: Set(group), into: &written) else { return false }
            found.merge(pictures) { _, new in new }
            return true
        }
        for number in Set(numbers).sorted() {
            if let last = group.last, number - last > Self.nearFrames {
                // A file that is gone is gone for the other frames too.
                guard try decode() else { return found }
                group = []
            }
            group.append(number)
        }
        _ = try decode()
        return found
    }

    /// Frames nearer than this are reached sooner by decoding what is between than by beginning anew.
    private static let nearFrames = 30

    /// The wanted frames of the file, no wider than a thumbnail; nil with a note when it is not the recording any more.
    private func frames(
        _ request: FrameRequest, wanted: Set<Int>, into written: inout Written
    ) throws -> [Int: (image: RGBImage, seconds: Double)]? {
        guard !path.isStandardInput else {
            written.notes.append("thumbnails: the recording came from a pipe; there are no pictures")
            return nil
        }
        do {
            let file = try path.open(cancellation: cancellation)
            guard try isSame(file) else {
                written.notes.append("thumbnails: \(path) has changed since it was indexed; there are no pictures")
                return nil
            }
            let stream = try FrameStream(file, request: request)
            defer { stream.cancel() }
            var found: [Int: (image: RGBImage, seconds: Double)] = [:]
            var frame = Frame()
            while found.count < wanted.count, try stream.next(into: &frame) {
                try cancellation.check()
                guard wanted.contains(frame.index) else { continue }
                let image = RGBImage(width: frame.width, height: frame.height, pixels: frame.rgb)
                found[frame.index] = (ContactSheet.scaled(image, width: Self.thumbnailWidth), frame.gridTime)
            }
            return found
        } catch let error as LongtakeError where error.code == .interrupted {
            throw error
        } catch {
            written.notes.append("thumbnails: \(Failure(error, subject: path.description).message)")
            return nil
        }
    }

    /// By what the catalog knows of the path, or, where that proves nothing, by content.
    private func isSame(_ file: RecordingFile) throws -> Bool {
        guard file.size == manifest.fileSize else { return false }
        if let known = try library.catalog.find(path: file.path, file.fingerprint) {
            return known.content == manifest.key.content
        }
        return try ContentHash.sha256(fileDescriptor: file.descriptor) { _ in try cancellation.check() }
            == manifest.key.content
    }

    static func makeFolder(_ folder: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw Failure(
                code: "cannot_write", message: "\(folder): the folder cannot be made or written to",
                exitCode: Exit.space)
        }
    }

    static func write(_ image: RGBImage, to file: String) throws {
        do {
            try Data(StillPicture.encodePNG(image)).write(to: URL(fileURLWithPath: file))
        } catch {
            throw Failure(
                code: "cannot_write", message: "\(file): cannot be written: \(Failure(error).message)",
                exitCode: Exit.space)
        }
    }
}
