import Checkpoints
import Foundation
import Longtake
import Media
import Models
import Tensors
import Testing
import Tokenizers

extension LongtakeTests {
    /// The error that a sampled fusion reports, against the one it makes.
    @Suite struct FusionErrorTests {
        /// 36 frames fused one by one: the mean of all, and that of a sample.
        @Test func reportedErrorIsTheRealOne() throws {
            let model = try nano()
            let llava = model.llava
            let prompt = try model.prompt("What happens in the video?")
            let text = try TextFusion(ids: prompt.ids, model: llava)
            let tokens = llava.fusion.tokensPerFrame
            var fused: [[Float]] = []
            try eachFrame(model, Shared.video, framesPerSecond: 3) { patches in
                let rows = llava.fuse(patches: patches, frames: 1, text: text.embeddings)
                let own = rows.rows(tokens..<rows.rows)
                fused.append(Array(UnsafeBufferPointer(start: own.floats, count: own.rows * own.columns)))
            }
            try #require(fused.count == 36)

            func mean(_ frames: [Int]) throws -> (rows: [Float], error: Double) {
                let fusion = try TextFusion(ids: prompt.ids, model: llava)
                for frame in frames {
                    fused[frame].withUnsafeMutableBufferPointerCopy { copy in
                        fusion.add(MatrixView(copy, rows: fusion.embeddings.rows, columns: llava.hiddenSize))
                    }
                }
                var rows: [Float] = []
                var row = [Float](repeating: 0, count: llava.hiddenSize)
                for index in prompt.ids.indices where prompt.ids[index] > 0 {
                    row.withUnsafeMutableBufferPointer {
                        if let base = $0.baseAddress { fusion.write(index, into: base) }
                    }
                    rows += row
                }
                return (rows, try #require(fusion.relativeStandardError(population: 36)))
            }
            let exact = try mean(Array(0..<36))
            #expect(exact.error == 0)
            let length = exact.rows.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            var before = Double.infinity
            for limit in [4, 9, 18, 30] {
                let sample = try mean(FusionPlan.frames(count: 36, limit: limit))
                let off = zip(sample.rows, exact.rows).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
                let relative = off.squareRoot() / length
                print("fusion of \(limit) of 36: off by \(relative), reported \(sample.error)")
                #expect(sample.error > 0 && sample.error < before)
                #expect(relative <= 2 * sample.error)
                before = sample.error
            }
        }

        /// 0 says that all frames took part, so nothing else may say it.
        @Test func anUnknownErrorIsNull() throws {
            let folder = try Folder()
            let video = folder.path + "/long.mp4"
            try makeVideo(to: video, seconds: 80)
            let analyzer = Analyzer(model: try nano(), library: try folder.library(), prefixCache: .never)
            func fusion(_ change: (inout Question) -> Void) throws -> (summary: FusionSummary, json: String) {
                var asked = question()
                asked.focus = .off
                change(&asked)
                let summary = try analyzer.ask(asked, about: video).fusion
                return (summary, String(decoding: try JSONEncoder().encode(summary), as: UTF8.self))
            }
            let one = try fusion { $0.fusionFrames = 1 }
            #expect(one.summary.frames == 1 && one.summary.of == 80 && one.summary.relativeStandardError == nil)
            #expect(one.json.contains(#""relative_standard_error":null"#), "\(one.json)")
            let chosen = try fusion { $0.focus = .frames(4) }
            #expect(chosen.summary.frames <= 4 && chosen.summary.relativeStandardError == nil)
            let all = try fusion { $0.fusion = .exact }
            #expect(all.summary.frames == 80 && all.summary.relativeStandardError == 0)
            // A model whose folder says nothing of it is fused with the whole sample.
            let sample = try fusion { _ in }
            #expect(sample.summary.frames == 64 && sample.summary.relativeStandardError ?? 0 > 0)
        }

        @Test func theBundledModelSaysWhichErrorIsEnough() throws {
            let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../Models/nano")
            #expect(try CheckpointFolder(path: folder.standardizedFileURL.path).fusionError == 0.07)
            #expect(try nano().checkpoint.fusionError == nil)
        }
    }
}

extension [Float] {
    /// A copy that a view may point into while `body` runs.
    fileprivate func withUnsafeMutableBufferPointerCopy(_ body: (UnsafeMutablePointer<Float>) -> Void) {
        var copy = self
        copy.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { body(base) } }
    }
}
