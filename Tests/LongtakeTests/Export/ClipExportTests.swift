import Foundation
import Longtake
import Media
import TestSupport
import Testing

extension LongtakeTests {
    /// The evidence of answers as videos.
    @Suite struct ClipExportTests {
        /// 60 s of numbered images at 10 per second, a key frame every 3 s, which starts at 9:30 UTC.
        private static func index(in folder: Folder) throws -> (Library, RecordingSummary, String) {
            let path = folder.path + "/cam \u{1}é.mp4"
            try NumberedImages.encode(
                0..<600,
                options: [
                    "-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-bf", "2", "-g", "30",
                    "-sc_threshold", "0",
                    "-metadata", "creation_time=2026-03-01T09:30:00Z",
                ], to: path)
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let made = try analyzer.index(path, options: IndexOptions())
            let summary = try #require(try analyzer.library.recordings(matching: made.id).first)
            return (analyzer.library, summary, path)
        }

        private static func record(
            _ recording: RecordingSummary, _ spans: [ClosedRange<Double>], _ question: String = "Who?"
        ) -> AnswerRecord {
            AnswerRecord(
                recording: recording.id, path: recording.path, question: question, answer: "a dog",
                evidence: spans.map {
                    Evidence(
                        start: $0.lowerBound, end: $0.upperBound, score: 0.5, frame: Int($0.lowerBound),
                        clock: recording.clock)
                }, created: "2026-03-02T00:00:00Z", model: "nano")
        }

        private static func object(_ path: String) throws -> [String: Any] {
            try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path))) as? [String: Any])
        }

        @Test func clipsHaveTheEvidenceAtTheStatedTime() throws {
            let folder = try Folder()
            let (library, recording, _) = try Self.index(in: folder)
            let records = [
                Self.record(recording, [40...42, 13...14], "Who?"), Self.record(recording, [15...16], "What?"),
                Self.record(recording, [], "Nothing?"),
            ]
            let out = folder.path + "/clips"
            let export = ClipExport(library: library, recording: recording, margin: 2)
            let written = try export.write(records, into: out)
            // 11 to 18 and 38 to 44, from key frame to key frame.
            let names = ["00-00-09.0--00-00-18.0", "00-00-36.0--00-00-45.0"]
            #expect(written.files == names.map { "\(out)/\($0).mp4" } && written.unchanged == 0)
            #expect(written.failed.isEmpty && written.notes.isEmpty, "\(written)")
            #expect(files(in: out) == names.flatMap { ["\($0).json", "\($0).mp4", "\($0).png"] })
            let first = try Self.object("\(out)/\(names[0]).json")
            let clip = try #require(first["clip"] as? [String: Any])
            #expect(clip["start"] as? Double == 9 && clip["end"] as? Double == 18)
            #expect(clip["start_clock"] as? String == "2026-03-01T09:30:09Z")
            let items = try #require(first["evidence"] as? [[String: Any]])
            #expect(items.map { $0["question"] as? String } == ["Who?", "What?"])
            for name in names {
                let frames = try Self.frames("\(out)/\(name).mp4")
                for item in try #require(try Self.object("\(out)/\(name).json")["evidence"] as? [[String: Any]]) {
                    let evidence = try #require(item["evidence"] as? [String: Any])
                    let inClip = try #require(item["in_clip"] as? [String: Any])
                    let (time, offset) = (
                        try #require(evidence["start"] as? Double), try #require(inClip["start"] as? Double)
                    )
                    #expect(frames[Int((offset * 10).rounded())] == Int((time * 10).rounded()), "\(name) \(time)")
                }
            }
            // The image is that of the strongest evidence.
            let image = try StillImage.decode([UInt8](Data(contentsOf: URL(filePath: "\(out)/\(names[1]).png"))))
            #expect(NumberedImages.number(rgb: image.pixels, width: image.width, height: image.height) == 400)
            // A clip knows when it was recorded.
            let dates = try SampledClip("\(out)/\(names[0]).mp4").info.dates
            #expect(dates?["creation_time"]?.hasPrefix("2026-03-01T09:30:09") == true, "\(dates ?? [:])")
        }

        /// The numbers shown by a clip's frames, ten per second.
        private static func frames(_ path: String) throws -> [Int] {
            try SampledClip(path, framesPerSecond: 10).numbers
        }

        private struct SampledClip {
            var numbers: [Int] = []
            let info: RecordingInfo

            init(_ path: String, framesPerSecond: Double = 1) throws {
                var request = FrameRequest(output: .native)
                request.framesPerSecond = framesPerSecond
                let stream = try FrameStream(try RecordingFile(path: path), request: request)
                var frame = Frame()
                while try stream.next(into: &frame) {
                    numbers.append(NumberedImages.number(rgb: frame.rgb, width: frame.width, height: frame.height))
                }
                info = stream.result.info
            }
        }

        @Test func theSecondTimeNothingIsWritten() throws {
            let folder = try Folder()
            let (library, recording, path) = try Self.index(in: folder)
            let export = ClipExport(library: library, recording: recording, margin: 1)
            let out = folder.path + "/clips"
            func contents() throws -> [String: Data] {
                try files(in: out).reduce(into: [:]) { $0[$1] = try Data(contentsOf: URL(filePath: out + "/" + $1)) }
            }
            // Both are between the same two key frames: one clip shows both.
            let records = [Self.record(recording, [31...31.2, 32.6...32.8])]
            let first = try export.write(records, into: out)
            let made = try contents()
            #expect(first.files.count == 1 && made.count == 3, "\(first)")
            // The file is not needed for clips that are there.
            try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
            let second = try export.write(records, into: out)
            #expect(second.files == first.files && second.unchanged == 1)
            #expect(try contents() == made)
            try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
            // A clip that was removed is made again with the same bytes; another question adds to what is there.
            try FileManager.default.removeItem(atPath: first.files[0])
            #expect(try export.write(records, into: out).unchanged == 0)
            #expect(try contents() == made)
            let more = try export.write([Self.record(recording, [32...32.5], "What else?")], into: out)
            #expect(more.files == first.files)
            let json = try #require(try contents().first { $0.key.hasSuffix(".json") }?.value)
            #expect(String(decoding: json, as: UTF8.self).contains("What else?"))
            #expect(String(decoding: json, as: UTF8.self).contains("Who?"))
        }

        @Test func whatIsNotOursStays() throws {
            let folder = try Folder()
            let (library, recording, _) = try Self.index(in: folder)
            let export = ClipExport(library: library, recording: recording, margin: 0)
            let records = [Self.record(recording, [31...32])]
            for suffix in ["mp4", "png", "json"] {
                let out = folder.path + "/" + suffix
                try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
                let other = out + "/00-00-30.0--00-00-33.0." + suffix
                try Data("mine".utf8).write(to: URL(filePath: other))
                #expect(code { _ = try export.write(records, into: out) } == "cannot_write")
                #expect(files(in: out) == ["00-00-30.0--00-00-33.0." + suffix])
                #expect(try String(contentsOfFile: other, encoding: .utf8) == "mine")
            }
        }

        @Test func aChangedOrMissingFileIsAnError() throws {
            let folder = try Folder()
            let (library, recording, path) = try Self.index(in: folder)
            let export = ClipExport(library: library, recording: recording)
            let out = folder.path + "/clips"
            let records = [Self.record(recording, [31...32])]
            var bytes = try Data(contentsOf: URL(filePath: path))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(filePath: path))
            #expect(code { _ = try export.write(records, into: out) } == "file_changed")
            try FileManager.default.removeItem(atPath: path)
            #expect(code { _ = try export.write(records, into: out) } == "cannot_read")
            #expect(files(in: out).isEmpty)
            #expect(ClipExport.folder(of: recording) == "cam___-" + recording.id.suffix(8))
        }
    }
}
