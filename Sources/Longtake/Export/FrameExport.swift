internal import Foundation
package import Media

/// Writes the frames the model sees of a recording as PNG files and `frames.json`.
package struct FrameExport {
    /// The size of the images: the model's input or the recording's own.
    package enum Size: String, Sendable, CaseIterable { case model, native }

    /// One frame in frames.json.
    package struct Entry: Sendable, Codable {
        /// Frame number in the sampling, from 0.
        package let index: Int
        /// Name of the PNG file in the folder.
        package let file: String
        /// Grid time in seconds from the first frame.
        package let gridTime: Double
        /// The grid time in seconds on the file's timeline, as players show it.
        package internal(set) var fileTime: Double
        /// Presentation time stamp in the stream's time base.
        package let pts: Int64
        /// `pts` in seconds.
        package let ptsSeconds: Double
        /// Width of the PNG in pixels.
        package let width: Int
        /// Height of the PNG in pixels, all parts of the frame below each other.
        package let height: Int

        private enum CodingKeys: String, CodingKey {
            case index, file
            case gridTime = "grid_time"
            case fileTime = "file_time"
            case pts
            case ptsSeconds = "pts_seconds"
            case width, height
        }
    }

    /// The contents of frames.json.
    package struct Summary: Sendable, Codable {
        /// The recording as given.
        package let path: String
        /// The file and its video stream, as probed.
        package let info: RecordingInfo
        /// Whether all of the recording was decoded.
        package let status: DecodeResult.Status
        /// What is unusual about the recording.
        package let notes: [MediaNote]
        /// `DecodeCounters` by name, such as "frames_corrupt".
        package let counters: [String: Int]
        /// Seconds covered, to the end of the last presented frame.
        package let coveredSeconds: Double
        /// One entry per PNG file, in time order.
        package let frames: [Entry]
        /// True if the frames do not cover the whole recording.
        package var isPartial: Bool { status == .partial }
        /// `notes` as text, one line each.
        package var noteLines: [String] { notes.map { "\($0.code): \($0.message)" } }

        private enum CodingKeys: String, CodingKey {
            case path, info, status, notes, counters
            case coveredSeconds = "covered_seconds"
            case frames
        }
    }

    /// Whether images have the model's input size or the recording's own.
    package var size = Size.model
    /// How the recording is sampled.
    package var options = IndexOptions()
    /// Removes images of an earlier run from the folder; false: they are an error.
    package var overwrite = false
    /// Folder of the model whose preprocessing is used; nil: CLIP's at 336 pixels.
    package var modelPath: String?
    private let cancellation: Cancellation

    /// An export with default settings.
    package init(cancellation: Cancellation = Cancellation()) { self.cancellation = cancellation }

    /// Writes the frames of `input` into `folder`, which is created if missing.
    ///
    /// - Parameter progress: gets the number of frames written so far.
    /// - Throws: `Failure` that names the recording; `LongtakeError` `interrupted`, without a frames.json.
    package func run(_ input: InputPath, into folder: String, progress: (Int) -> Void = { _ in }) throws -> Summary {
        let path = input.description
        do {
            try options.validate()
            let file = try input.open(cancellation: cancellation)
            let request = options.request(try output())
            let stream = try FrameStream(file, request: request) { [cancellation] in cancellation.isCancelled }
            defer { stream.cancel() }
            var frame = Frame()
            var entries: [Entry] = []
            while try stream.next(into: &frame) {
                try cancellation.check()
                if entries.isEmpty { try prepare(folder) }
                let parts = max(1, frame.rgb.count / max(1, frame.width * frame.height * 3))
                let image = RGBImage(width: frame.width, height: frame.height * parts, pixels: frame.rgb)
                let digits = String(frame.index)
                let name = "frame-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".png"
                try Data(StillImage.encodePNG(image)).write(to: URL(fileURLWithPath: folder + "/" + name))
                entries.append(
                    Entry(
                        index: frame.index, file: name, gridTime: frame.gridTime, fileTime: frame.gridTime,
                        pts: frame.pts, ptsSeconds: frame.ptsSeconds, width: image.width, height: image.height))
                progress(entries.count)
            }
            let result = stream.result
            let clock = RecordingClock(start: result.info.fileStart ?? 0)
            for index in entries.indices { entries[index].fileTime = clock.fileTime(entries[index].gridTime) }
            let summary = Summary(
                path: path, info: result.info, status: result.status, notes: result.notes,
                counters: result.counters.dictionary, coveredSeconds: result.coveredSeconds, frames: entries)
            try JSONText.encoder(pretty: true).encode(summary).write(
                to: URL(fileURLWithPath: folder + "/frames.json"), options: .atomic)
            return summary
        } catch {
            if cancellation.isCancelled {
                throw LongtakeError.interrupted(path, "the images so far are in \(folder), without frames.json")
            }
            throw Failure(error, subject: path)
        }
    }

    /// Creates the folder; images of an earlier run could be mistaken for this run's, so they are removed or an error.
    private func prepare(_ folder: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let old = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
                $0 == "frames.json" || ($0.hasPrefix("frame-") && $0.hasSuffix(".png"))
            }
            guard old.isEmpty || overwrite else {
                throw Failure(
                    code: "folder_not_empty",
                    message:
                        "\(folder): has \(counted(old.count, "file")) of an earlier run; choose another folder or let them be removed",
                    exitCode: Exit.usage, remedy: .overwrite)
            }
            for name in old { try FileManager.default.removeItem(atPath: folder + "/" + name) }
        } catch let error as Failure {
            throw error
        } catch {
            throw ThumbnailFolder.cannotCreate(folder)
        }
    }

    /// Writes the frames of the file at `path`; see the other `run`.
    package func run(_ path: String, into folder: String, progress: (Int) -> Void = { _ in }) throws -> Summary {
        try run(InputPath(path), into: folder, progress: progress)
    }

    private func output() throws -> FrameRequest.Output {
        guard size == .model else { return .native }
        guard let modelPath else { return .model(.clip(side: 336), resolutionRatio: 1) }
        let (preprocessing, ratio) = try LoadedModel.preprocessing(path: modelPath)
        return .model(preprocessing, resolutionRatio: ratio)
    }
}
