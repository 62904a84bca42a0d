import Foundation
import Longtake
import Media
import Testing

extension LongtakeTests {
    /// Images of what an answer was read from.
    @Suite struct RecordingImagesTests {
        private static let evidence = [
            Evidence(start: 6, end: 9, score: 0.7, frame: 7), Evidence(start: 2, end: 3, score: 0.3, frame: 2),
        ]

        private static func read(_ path: String) throws -> RGBImage {
            try StillImage.decode([UInt8](Data(contentsOf: URL(filePath: path))))
        }

        @Test func thumbnailsAreTheStrongestFrames() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let made = try analyzer.index(Shared.video, options: IndexOptions())
            let images = try RecordingImages(library: analyzer.library, index: made.index)
            let out = folder.path + "/out"
            let written = try images.thumbnails(of: Self.evidence, into: out, prefix: "x-")
            #expect(written.notes.isEmpty)
            #expect(files(in: out) == ["x-1-00-00-07.png", "x-2-00-00-02.png", "x-contact-sheet.png"])
            #expect(written.files.count == 3)
            // The same frames by another way.
            var export = FrameExport()
            export.size = .native
            _ = try export.run(Shared.video, into: folder.path + "/frames")
            for (name, frame) in [("x-1-00-00-07.png", 7), ("x-2-00-00-02.png", 2)] {
                let own = try Self.read(out + "/" + name)
                let same = try Self.read(folder.path + "/frames/frame-00000\(frame).png")
                #expect(own == same)
            }
            let sheet = try Self.read(out + "/x-contact-sheet.png")
            #expect(sheet.width == 2 * 240 + 3 * 4 && sheet.height == 180 + 2 * 4)
        }

        @Test func aChangedOrMissingFileIsANote() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let path = folder.path + "/day.mp4"
            try FileManager.default.copyItem(atPath: Shared.video, toPath: path)
            let made = try analyzer.index(path, options: IndexOptions())
            func notes(_ path: String?) throws -> [String] {
                let images = try RecordingImages(library: analyzer.library, index: made.index, path: path)
                let written = try images.thumbnails(of: Self.evidence, into: folder.path + "/out")
                #expect(written.files.isEmpty == !written.notes.isEmpty)
                return written.notes
            }
            // Another time, the same content.
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: path)
            #expect(try notes(nil).isEmpty)
            try FileManager.default.removeItem(atPath: folder.path + "/out")
            var bytes = try Data(contentsOf: URL(filePath: path))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(filePath: path))
            #expect(try notes(nil).first?.contains("changed") == true)
            try FileManager.default.removeItem(atPath: path)
            #expect(try notes(nil).count == 1)
            #expect(!FileManager.default.fileExists(atPath: folder.path + "/out"))
            // It was moved: where it is now counts.
            #expect(try notes(Shared.video).isEmpty)
            #expect(code { _ = try RecordingImages(library: analyzer.library, index: "0") } == "unknown_recording")
        }

        @Test func contactSheetOfTheWholeRecording() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let made = try analyzer.index(Shared.video, options: IndexOptions())
            let images = try RecordingImages(library: analyzer.library, index: made.index)
            let written = try images.contactSheet(to: folder.path + "/sheet.png", count: 6)
            #expect(written.files.count == 1 && written.notes.isEmpty)
            let sheet = try Self.read(folder.path + "/sheet.png")
            #expect(sheet.width == 3 * 240 + 4 * 4 && sheet.height == 2 * 180 + 3 * 4)
        }

        @Test func timesAreWrittenInTheCorner() throws {
            let white = RGBImage(width: 100, height: 60, pixels: [UInt8](repeating: 200, count: 100 * 60 * 3))
            let sheet = try #require(ContactSheet([0, 3661].map { TimedImage(image: white, seconds: $0) }).image())
            func dark(_ column: Int) -> Int {
                let left = 4 + column * 104
                return (0..<14).reduce(0) { count, y in
                    count + (0..<66).count { x in sheet.pixels[((4 + y) * sheet.width + left + x) * 3] == 0 }
                }
            }
            #expect(dark(0) > 300 && dark(1) > 300 && dark(0) != dark(1))
            #expect(ContactSheet([]).image() == nil)
            #expect(ContactSheet.scaled(white, width: 50).height == 30)
        }
    }
}
