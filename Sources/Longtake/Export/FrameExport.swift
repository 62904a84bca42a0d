internal import Foundation
public import Media

/// What the model sees of a recording, as PNG files and `frames.json`.
public struct FrameExport {
    public enum Size: String, Sendable, CaseIterable { case model, native }

    /// One line of frames.json.
    public struct Entry: Sendable, Codable {
        public let index: Int
        public let file: String
        public let gridTime: Double
        /// The grid time on the file's time line, as players show it.
        public internal(set) var fileTime: Double
        public let pts: Int64
        public let ptsSeconds: Double
        public let width: Int
        public let height: Int

        private enum CodingKeys: String, CodingKey {
            case index, file
            case gridTime = "grid_time"
            case fileTime = "file_time"
            case pts
            case ptsSeconds = "pts_seconds"
            case width, height
        }
    }

    public struct Summary: Sendable, Codable {
        public let path: String
        public let info: RecordingInfo
        public let status: String
        public let notes: [MediaNote]
        public let counters: [String: Int]
        public let coveredSeconds: Double
        public let frames: [Entry]
        public var noteLines: [String] { notes.map { "\($0.code): \($0.message)" } }

        private enum CodingKeys: String, CodingKey {
            case path, info, status, notes, counters
            case coveredSeconds = "covered_seconds"
            case frames
        }
    }

    public var size = Size.model
    public var options = IndexOptions()
    /// Images of an earlier run in the folder are removed; otherwise they are an error.
    public var overwrite = false
    /// The model whose preprocessing is used; nil: CLIP's at 336 pixels.
    public var modelPath: String?
    private let cancellation: Cancellation

    public init(cancellation: Cancellation = Cancellation()) { self.cancellation = cancellation }

    /// Writes the frames of `path` into `folder`, which is made where missing.
    public func run(_ input: InputPath, into folder: String, progress: (Int) -> Void = { _ in }) throws -> Summary {
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
            for place in entries.indices { entries[place].fileTime = clock.fileTime(entries[place].gridTime) }
            let summary = Summary(
                path: path, info: result.info, status: result.status.rawValue, notes: result.notes,
                counters: result.counters.dictionary, coveredSeconds: result.coveredSeconds, frames: entries)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try encoder.encode(summary).write(to: URL(fileURLWithPath: folder + "/frames.json"), options: .atomic)
            return summary
        } catch {
            if cancellation.isCancelled {
                throw LongtakeError.interrupted(path, "the pictures so far are in \(folder), without frames.json")
            }
            throw Failure(error, subject: path)
        }
    }

    /// Makes the folder; pictures of an earlier run are in the way, for they could be taken for this one's.
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
                        "\(folder): has \(counted(old.count, "file")) of an earlier run; choose another folder, or give --overwrite",
                    exitCode: Exit.usage)
            }
            for name in old { try FileManager.default.removeItem(atPath: folder + "/" + name) }
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure(
                code: "cannot_write", message: "\(folder): the folder cannot be made or written to",
                exitCode: Exit.space)
        }
    }

    public func run(_ path: String, into folder: String, progress: (Int) -> Void = { _ in }) throws -> Summary {
        try run(InputPath(path), into: folder, progress: progress)
    }

    private func output() throws -> FrameRequest.Output {
        guard size == .model else { return .native }
        guard let modelPath else { return .model(.clip(side: 336), resolutionRatio: 1) }
        let (preprocessing, ratio) = try LoadedModel.preprocessing(path: modelPath)
        return .model(preprocessing, resolutionRatio: ratio)
    }
}
