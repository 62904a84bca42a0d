import Foundation
import Media
import TestSupport
import Testing

/// A damaged header is said to be one: it is neither an unknown container nor a codec that is not supported.
@Suite struct ContainerHeaderTests {
    private static let encoded = Result {
        let directory = try FaultDirectory()
        try NumberedImages.encode(
            0..<30, options: ["-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-g", "10"],
            to: directory.file("a.mp4"))
        for name in ["a.mkv", "a.avi", "a.flv", "a.mov"] {
            try RealTool.ffmpeg(["-i", directory.file("a.mp4"), "-c", "copy", directory.file(name)])
        }
        try RealTool.ffmpeg(["-i", directory.file("a.mp4"), "-c:v", "libtheora", directory.file("a.ogv")])
        try RealTool.ffmpeg(["-i", directory.file("a.mp4"), "-c:v", "msmpeg4v2", directory.file("a.asf")])
        return directory
    }

    /// A file, the text in its header after which bytes are flipped, and at which distances.
    private static let places: [(file: String, mark: String, offsets: [Int])] = [
        ("a.mp4", "stsd", [0, 1, 3, 8, 12, 16, 17, 18, 19]), ("a.mp4", "avcC", [0, 1, 3, 4, 5, 8, 12]),
        ("a.mp4", "mdat", [-4, -3, -1]), ("a.mov", "stsd", [0, 3, 12, 16, 19]),
        ("a.mkv", "matroska", [-31, -24, 0, 3, 7]), ("a.mkv", "V_MPEG4/ISO/AVC", [0, 1, 2, 5, 9, 14]),
        ("a.avi", "RIFF", [0, 1, 3]), ("a.avi", "AVI LIST", [0, 3, 4, 8]), ("a.avi", "vids", [-8, 0, 1, 3]),
        ("a.avi", "strf", [0, 4]), ("a.flv", "FLV", [0, 1, 2, 3]), ("a.ogv", "OggS", [0, 1, 3, 5]),
        ("a.ogv", "theora", [0, 3, 9]),
    ]

    @Test(arguments: places.indices) func `flipped bytes of a header`(place: Int) throws {
        let (file, mark, offsets) = Self.places[place]
        let whole = try Self.encoded.get().read(file)
        let at = try #require(whole.positions(of: mark).first)
        let directory = try FaultDirectory()
        var refused = 0
        for offset in offsets where at + offset >= 0 {
            for flip in [UInt8(0xFF), 0x10, 0x01] {
                var bytes = whole
                bytes[at + offset] ^= flip
                let outcome = try decode(try directory.write(file, bytes))
                guard let error = outcome.error else { continue }
                refused += 1
                let input = "\(file): \(mark)+\(offset) ^ \(flip): \(error.message)"
                #expect([.damagedHeader, .nothingDecoded, .tooLarge].contains(error.code), "\(input)")
                #expect(!error.message.contains("not a video container"), "\(input)")
            }
        }
        #expect(refused > 0)
    }

    @Test func `what was seen is in the message`() throws {
        let directory = try FaultDirectory()
        func message(_ file: String, _ change: (inout [UInt8]) throws -> Void) throws -> String {
            var bytes = try Self.encoded.get().read(file)
            try change(&bytes)
            let error = try #require(try decode(try directory.write(file, bytes)).error)
            #expect(error.code == .damagedHeader, "\(error.message)")
            return error.message
        }
        let tag = try message("a.mp4") { bytes in
            let entry = try #require(bytes.positions(of: "stsd").first) + 16
            bytes.put(Array("qvc1".utf8), at: entry)
        }
        #expect(tag.contains("MP4") && tag.contains("\"qvc1\"") && tag.contains("\"avc1\""))
        let name = try message("a.mkv") { bytes in
            bytes[try #require(bytes.positions(of: "V_MPEG4").first) + 2] = 0
        }
        #expect(name.contains("Matroska") && name.contains("V_\\x00PEG4"))
        let kind = try message("a.avi") { bytes in
            bytes[try #require(bytes.positions(of: "vids").first)] = 0x76 ^ 0x10
        }
        #expect(kind.contains("AVI") && kind.contains("of unknown kind"))
        let length = try message("a.mp4") { bytes in
            bytes[try #require(bytes.positions(of: "mdat").first) - 4] = 0x10
        }
        #expect(length.contains("the box at byte"))
    }

    @Test func `a codec that is only unknown is not damage`() throws {
        let directory = try FaultDirectory()
        var bytes = try Self.encoded.get().read("a.mp4")
        bytes.put(Array("XYZ9".utf8), at: try #require(bytes.positions(of: "stsd").first) + 16)
        let outcome = try decode(try directory.write("a.mp4", bytes))
        #expect(outcome.error?.code == .unsupportedCodec)
        #expect(outcome.error?.message.contains("\"XYZ9\"") == true)
        // Noise and text are no container's header.
        let noise = (0..<100_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }
        #expect(try refusal(try directory.write("noise.mp4", noise)) == .unsupportedFormat)
        #expect(
            try refusal(try directory.write("text.avi", "RIFE is not what this text begins with")) == .unsupportedFormat
        )
    }

    /// The MP4 with the entry of its dref box replaced.
    private func referring(_ kind: String, flags: UInt8, _ content: [UInt8]) throws -> [UInt8] {
        let entry = bytes32(UInt32(12 + content.count)) + Array(kind.utf8) + [0, 0, 0, flags] + content
        return withDataReference(try Self.encoded.get().read("a.mp4"), entry)
    }

    @Test(arguments: ["url ", "urn ", "alis", "rsrc"]) func `a data reference to another file is refused`(kind: String)
        throws
    {
        let directory = try FaultDirectory()
        for target in ["file:///srv/media/other.mp4", "http://192.0.2.1/a.mp4", "x"] {
            let bytes = try referring(kind, flags: 0, Array(target.utf8) + [0])
            let outcome = try decode(try directory.write("a.mp4", bytes))
            #expect(outcome.error?.code == .unsupportedFormat, "\(kind) \(target) \(outcome.frames.count)")
            #expect(outcome.error?.message.contains("another file") == true)
        }
        // With the flag the samples are in this file, whatever the name says.
        for content in [[], Array("x".utf8) + [0]] {
            let own = try decode(try directory.write("own.mp4", try referring(kind, flags: 1, content)))
            #expect(own.frames.count == 3, "\(String(describing: own.error))")
        }
    }

    @Test func `a reference that names nothing is the file itself`() throws {
        let directory = try FaultDirectory()
        for content in [[], [0]] as [[UInt8]] {
            let outcome = try decode(try directory.write("a.mp4", try referring("url ", flags: 0, content)))
            #expect(outcome.frames.count == 3, "\(String(describing: outcome.error))")
        }
    }
}
