internal import Foundation
internal import Media

/// Writes what a `CompressionInspector` finds into a folder.
///
/// A frame gets `frame-000012.png` and `.svg`; several frames get one `contact-sheet.png`. `compression.json` has the
/// attention itself.
package struct CompressionReport {
    /// Most pictures of a contact sheet; with more there is none.
    private static let sheetCount = 144

    private let folder: String
    private let input: String
    private var sheet: [TimedImage] = []
    private var maps: [CompressionMap] = []
    private var video: VideoWriter?
    private let videoPath: String?
    private let framesPerSecond: Double
    /// Frames written so far.
    package var count: Int { maps.count }
    /// The files written so far.
    package private(set) var files: [String] = []

    /// The contents of compression.json.
    private struct Contents: Encodable {
        let input: String
        let frames: [CompressionMap]
        let notes: [String]
    }

    /// A report in `folder`, which is created if it is missing.
    ///
    /// - Parameters:
    ///   - input: the recording or image, for the report.
    ///   - video: a file for the pictures as a video; nil: none.
    ///   - interval: seconds from one frame to the next.
    /// - Throws: `Failure` `cannot_write`.
    package init(folder: String, input: String, video: String? = nil, interval: Double = 1) throws {
        try ThumbnailFolder.create(folder)
        self.folder = folder
        self.input = input
        videoPath = video
        // A picture per ten minutes would make a video as long as the recording: each lasts at most a second.
        framesPerSecond = interval > 0 ? max(1 / interval, 1) : 1
    }

    /// Adds a frame and writes its pictures.
    ///
    /// - Throws: `Failure` `cannot_write`; `LongtakeError` if the video cannot be encoded.
    package mutating func add(_ inspected: CompressionInspector.Inspected) throws {
        let map = inspected.map
        let heat = HeatMap(picture: inspected.picture, weights: map.mean, grid: map.grid)
        let image = heat.image
        let digits = String(map.frame)
        let name = "\(folder)/frame-" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
        try ThumbnailFolder.write(image, to: name + ".png")
        let title = "\(URL(fileURLWithPath: input).lastPathComponent) at \(TimeText.clock(map.time))"
        try Self.write(Data(heat.svg(title: title).utf8), to: name + ".svg")
        files += [name + ".png", name + ".svg"]
        if sheet.count <= Self.sheetCount {
            sheet.append(TimedImage(image: image, seconds: map.time).scaled(toWidth: ThumbnailFolder.sheetWidth))
        }
        maps.append(map)
        guard let videoPath else { return }
        if video == nil {
            video = try VideoWriter(
                to: videoPath, width: image.width, height: image.height, framesPerSecond: framesPerSecond)
        }
        try video?.write(image)
    }

    /// Writes the contact sheet, the JSON and the end of the video.
    package mutating func finish(notes: [String]) throws {
        if (2...Self.sheetCount).contains(sheet.count), let image = ContactSheet(sheet).image() {
            let file = folder + "/contact-sheet.png"
            try ThumbnailFolder.write(image, to: file)
            files.append(file)
        }
        let file = folder + "/compression.json"
        try Self.write(
            JSONText.encoder(pretty: false).encode(Contents(input: input, frames: maps, notes: notes)), to: file)
        files.append(file)
        if let video {
            try video.finish()
            if let videoPath { files.append(videoPath) }
        }
    }

    private static func write(_ data: Data, to file: String) throws {
        do {
            try data.write(to: URL(fileURLWithPath: file), options: .atomic)
        } catch {
            throw Failure.cannotWrite(file, error)
        }
    }
}
