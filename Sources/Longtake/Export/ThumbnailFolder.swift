internal import Foundation
internal import Media

/// Writes images of frames into a folder: a numbered PNG of each, and a contact sheet of all of them.
struct ThumbnailFolder {
    /// Width in pixels of a thumbnail, and of an image on a contact sheet.
    static let width = 640
    static let sheetWidth = 240

    private let path: String
    private let prefix: String
    private var sheet: [TimedImage] = []

    /// Creates the folder if it is missing.
    ///
    /// - Parameter prefix: prepended to the files' names.
    /// - Throws: `Failure` `cannot_write`.
    init(_ path: String, prefix: String = "") throws {
        try Self.create(path)
        self.path = path
        self.prefix = prefix
    }

    /// Writes one image, named after its number and time; returns the file's path.
    ///
    /// - Throws: `Failure` `cannot_write`.
    mutating func write(_ frame: TimedImage, number: Int) throws -> String {
        let clock = TimeText.clock(frame.seconds).split(separator: ":").joined(separator: "-")
        let file = "\(path)/\(prefix)\(number)-\(clock).png"
        try Self.write(frame.scaled(toWidth: Self.width).image, to: file)
        sheet.append(frame.scaled(toWidth: Self.sheetWidth))
        return file
    }

    /// Writes the contact sheet and returns its path; nil if no image was written.
    ///
    /// - Throws: `Failure` `cannot_write`.
    func writeContactSheet() throws -> String? {
        guard let image = ContactSheet(sheet).image() else { return nil }
        let file = "\(path)/\(prefix)contact-sheet.png"
        try Self.write(image, to: file)
        return file
    }

    static func create(_ folder: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw cannotCreate(folder)
        }
    }

    static func cannotCreate(_ folder: String) -> Failure {
        Failure(
            code: "cannot_write", message: "\(folder): cannot create the folder or write to it", exitCode: Exit.space)
    }

    static func write(_ image: RGBImage, to file: String) throws {
        do {
            try Data(StillImage.encodePNG(image)).write(to: URL(fileURLWithPath: file))
        } catch {
            throw Failure.cannotWrite(file, error)
        }
    }
}
