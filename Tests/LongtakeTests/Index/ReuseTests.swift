import Foundation
import Longtake
import Store
import Testing

extension LongtakeTests {
    /// Frames that did not change are not encoded again.
    @Suite struct ReuseTests {
        /// Something that comes for 2 s into one corner, at these seconds.
        private static let visits = [31, 60, 61 + 22, 140]
        private static let seconds = 160

        /// A still scene with a sensor's noise and x264's compression, and visits that are as small as a patch.
        private static func makeScene(_ path: String, noise: Int = 8, rate: Int = 5, filters: String = "") throws {
            let times = visits.map { "between(t,\($0),\($0 + 2))" }.joined(separator: "+")
            let box = "drawbox=x=288+mod(t*7\\,12):y=212:w=14:h=14:c=gray:t=fill:enable='\(times)'"
            try ffmpeg([
                "-f", "lavfi", "-i", "smptehdbars=s=320x240:r=\(rate):d=\(seconds)", "-vf",
                "drawgrid=w=40:h=30:c=black,\(box),noise=alls=\(noise):allf=t:all_seed=3\(filters)",
                "-c:v", "libx264", "-crf", "28", "-preset", "veryfast", "-pix_fmt", "yuv420p", path,
            ])
        }

        private func options(_ reuse: IndexOptions.Reuse, rate: Double = 1) -> IndexOptions {
            var options = IndexOptions()
            options.framesPerSecond = rate
            options.reuse = reuse
            return options
        }

        private func reader(_ library: Library, _ made: IndexedRecording) throws -> IndexReader {
            try IndexReader(directory: library.cache.path(indexID: made.index))
        }

        @Test(arguments: [4, 8, 20]) func noVisitIsMissed(noise: Int) throws {
            let folder = try Folder()
            let video = folder.path + "/scene.mp4"
            try Self.makeScene(video, noise: noise)
            let library = try folder.library()
            let made = try Analyzer(model: nano(), library: library).index(video, options: options(.automatic))
            let index = try reader(library, made)
            for visit in Self.visits {
                #expect(index.owner(of: visit) >= visit, "the visit at \(visit) s with noise \(noise)")
                #expect(index.owner(of: visit + 3) >= visit + 2, "its end")
            }
            let isQuiet = { (frame: Int) in !Self.visits.contains { ($0...$0 + 2).contains(frame) } }
            let quiet = (0..<made.frames).filter(isQuiet)
            let saved = quiet.count { index.owner(of: $0) != $0 }
            #expect(Double(saved) >= 0.8 * Double(quiet.count), "\(saved) of \(quiet.count) with noise \(noise)")
            #expect(made.framesReused == (0..<made.frames).count { index.owner(of: $0) != $0 })
            #expect(index.manifest.bytes < Int64(made.frames / 3 * index.layout.recordBytes))
        }

        /// Of the 160 positions of a 3-pixel shake, 8 are those of the frame before.
        @Test(arguments: [3, 15]) func aShakyCameraSavesNothing(pixels: Int) throws {
            let folder = try Folder()
            let video = folder.path + "/shaky.mp4"
            try Self.makeScene(video, filters: ",crop=280:200:20+\(pixels)*sin(t*7):20+\(pixels)*cos(t*5)")
            let library = try folder.library()
            let made = try Analyzer(model: nano(), library: library).index(video, options: options(.automatic))
            #expect(try #require(made.framesReused) <= made.frames / 50, "\(String(describing: made.framesReused))")
        }

        /// 800 frames: a sealed segment and a short one, or only a short one, when the run is stopped.
        @Test(arguments: [IndexOptions.Keep.patches, .tokens])
        func stoppedAndContinued(keep: IndexOptions.Keep) throws {
            let folder = try Folder()
            let video = folder.path + "/scene.mp4"
            try Self.makeScene(video)
            let model = try nano()
            var options = options(.automatic, rate: 5)
            options.keep = keep
            let whole = try folder.library("whole")
            let made = try Analyzer(model: model, library: whole).index(video, options: options)
            #expect(made.frames == 800 && made.framesReused ?? 0 > 500)
            for stop in [437, 670] {
                let library = try folder.library("stopped at \(stop)")
                let cancellation = Cancellation()
                let stopping = Analyzer(model: model, library: library, cancellation: cancellation)
                let stopped = code {
                    _ = try stopping.index(video, options: options) { if $0.frames > stop { cancellation.cancel() } }
                }
                #expect(stopped == "interrupted")
                let resumed = try Analyzer(model: model, library: library).index(video, options: options)
                #expect(resumed.action == .resumed && resumed.framesReused == made.framesReused)
                let (old, new) = (whole.cache.path(indexID: made.index), library.cache.path(indexID: resumed.index))
                let names = files(in: old).filter { $0.hasSuffix(".seg") || $0.hasSuffix(".pat") }
                #expect(names == files(in: new).filter { $0.hasSuffix(".seg") || $0.hasSuffix(".pat") })
                for name in names {
                    let isEqual = FileManager.default.contentsEqual(atPath: old + "/" + name, andPath: new + "/" + name)
                    #expect(isEqual, "\(stop): \(name)")
                }
            }
        }

        @Test func theModesAndTheirKeys() throws {
            let folder = try Folder()
            let video = folder.path + "/slides.mp4"
            try ffmpeg([
                "-f", "lavfi", "-i", "testsrc=s=320x240:r=1:d=4,fps=5", "-c:v", "ffv1", video + ".mkv",
            ])
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library)
            func index(_ reuse: IndexOptions.Reuse) throws -> IndexedRecording {
                try analyzer.index(video + ".mkv", options: options(reuse, rate: 5))
            }
            let exact = try index(.exact)
            #expect(try index(.off).action == .unchanged, "the same bytes have the same key")
            #expect(exact.framesReused == nil)
            let zero = try index(.threshold(0))
            #expect(zero.action == .new && zero.framesReused == exact.frames - 4)
            #expect(try index(.threshold(0)).framesReused == zero.framesReused)
            let (a, b) = (try reader(library, exact), try reader(library, zero))
            for part in a.layout.parts.indices {
                for frame in 0..<exact.frames {
                    #expect(try bytes(a, part, frame) == bytes(b, part, frame))
                }
            }
            #expect(try index(.threshold(255)).framesReused == exact.frames - 1)
            #expect(Set(try [exact, zero, index(.automatic), index(.threshold(2.5))].map(\.index)).count == 4)
        }

        private func bytes(_ reader: IndexReader, _ part: Int, _ frame: Int) throws -> [UInt8] {
            var buffer = [UInt8](repeating: 0, count: reader.layout.parts[part].bytes)
            try buffer.withUnsafeMutableBytes { try reader.read(part: part, frame: frame, into: $0) }
            return buffer
        }

        @Test(arguments: [-1, -0.001, 255.5, 1e300, .infinity, .nan])
        func badThresholds(value: Double) throws {
            let library = try Folder().library()
            let analyzer = Analyzer(model: try nano(), library: library)
            #expect(code { _ = try analyzer.index(Shared.video, options: options(.threshold(value))) } == "bad_request")
        }
    }
}
