import Checkpoints
import Foundation
import Longtake
import Models
import Store
import Tensors
import Testing
import Tokenizers

extension LongtakeTests {
    /// How far answers from kept bytes are from answers computed with all bits, in numbers: the bundled model, a desk.
    @Suite struct RecordDeviationTests {
        /// The logits of an answer of the model to a question about a source.
        private struct Answered {
            var ids: [Int32] = []
            var logits: [Float] = []
        }

        private static let question = "What colour is the circle?"
        private static let other = "How many things are there?"

        /// Minutes 40 to 43 of the demo's recording: a red circle comes, moves and goes.
        private func indexed(_ model: LoadedModel, _ record: RecordKind, _ folder: Folder) throws -> (
            Asker, IndexReader
        ) {
            let library = try folder.library()
            let desk = fixtures.deletingLastPathComponent().deletingLastPathComponent().appending(path: "Demo/desk.mp4")
            let part = folder.path + "/part.mp4"
            if !FileManager.default.fileExists(atPath: part) {
                try ffmpeg(["-ss", "2830", "-i", desk.path, "-t", "180", "-c", "copy", part])
            }
            var options = IndexOptions()
            options.record = record
            let analyzer = Analyzer(model: model, library: library, prefixCache: .never)
            let made = try analyzer.index(part, options: options)
            return (Asker(model), try IndexReader(directory: library.cache.path(indexID: made.index)))
        }

        private func prompt(
            _ model: LoadedModel, _ source: FrameSource, _ texts: [String]
        ) throws -> (group: PromptGroup, fused: [FusedPrompt]) {
            let llava = model.llava
            let group = try PromptGroup(try texts.map { try model.prompt($0).ids }, model: llava)
            let memory = Buffer<Float>(count: llava.patchRows * llava.vision.hiddenSize)
            let rows = MatrixView(memory.pointer, rows: llava.patchRows, columns: llava.vision.hiddenSize)
            for frame in stride(from: 0, to: source.times.count, by: 3) {
                try source.patches(frame, rows)
                group.add(rows, frames: 1, model: llava)
            }
            let tokens = Buffer<Float>(count: source.times.count * llava.hiddenSize)
            let all = MatrixView(tokens.pointer, rows: source.times.count, columns: llava.hiddenSize)
            for frame in source.times.indices { try source.tokens(frame, all.rows(frame..<frame + 1)) }
            let fused = group.texts.map {
                FusedPrompt(text: $0, visionTokens: source.times.count) { range, block in
                    for (row, index) in range.enumerated() {
                        block.row(row).copyMemory(from: all.row(index), byteCount: llava.hiddenSize * 4)
                        withExtendedLifetime(tokens) {}
                    }
                }
            }
            return (group, fused)
        }

        private func answer(_ model: LoadedModel, _ fused: FusedPrompt, shared: KVCache? = nil) throws -> Answered {
            var logits: [Float] = []
            let found = try model.llava.language.generate(
                fused, options: .greedy, maxTokens: 12, stopIDs: model.stopIDs, shared: shared
            ) {
                logits += $1
                return true
            }
            return Answered(ids: found.ids, logits: logits)
        }

        private func largest(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).map { abs($0 - $1) }.max() ?? 0 }

        /// What is computed once for all questions, against everything computed for each: 1e-4 on logits.
        @Test func sharedPrefixChangesNoLogit() throws {
            let folder = try Folder()
            let model = try nano(bundledModel)
            let (asker, reader) = try indexed(model, .f32, folder)
            let source = try asker.frames(of: reader)
            let (_, fused) = try prompt(model, source, [Self.question, Self.other])
            let language = model.llava.language
            let count = fused[0].prefixRows + fused[0].visionTokens
            let cache = language.makeCache(capacity: count + 200)
            _ = language.append(count: count, to: cache) { fused[0].write($0, into: $1) }
            for one in fused {
                let (plain, shared) = (try answer(model, one), try answer(model, one, shared: cache))
                let off = largest(plain.logits, shared.logits)
                print("logits with and without the shared prefix: at most \(off) apart")
                #expect(plain.ids == shared.ids && off <= 1e-4 && plain.logits.count == shared.logits.count)
            }
        }

        /// bf16 tokens and int8 patches against f32 records of the same frames.
        @Test func defaultRecordsAreNearTheirOriginals() throws {
            let folder = try Folder()
            let model = try nano(bundledModel)
            var answers: [Answered] = []
            var sources: [FrameSource] = []
            var readers: [IndexReader] = []
            for record in [RecordKind.standard, .f32] {
                let (asker, reader) = try indexed(model, record, folder)
                readers.append(reader)
                sources.append(try asker.frames(of: reader))
                let (_, fused) = try prompt(model, sources.last ?? sources[0], [Self.question])
                answers.append(try answer(model, fused[0]))
            }
            let (rows, columns) = (model.llava.patchRows, model.llava.vision.hiddenSize)
            var (patches, tokens) = (1.0, 1.0)
            for frame in stride(from: 0, to: sources[0].times.count, by: 10) {
                patches = min(patches, try cosine(rows, columns) { try sources[$0].patches(frame, $1) })
                tokens = min(tokens, try cosine(1, model.llava.hiddenSize) { try sources[$0].tokens(frame, $1) })
            }
            let off = largest(answers[0].logits, answers[1].logits)
            let range = (answers[1].logits.max() ?? 0) - (answers[1].logits.min() ?? 0)
            print(
                "default records: patches' lowest cosine \(patches), tokens' \(tokens), logits at most \(off) apart of \(range)"
            )
            #expect(patches > 0.999 && tokens > 0.9999)
            #expect(answers[0].ids == answers[1].ids && off < 0.05 * range)
        }

        /// The lowest cosine of a row of one source with that of the other.
        private func cosine(_ rows: Int, _ columns: Int, _ read: (Int, MatrixView) throws -> Void) throws -> Double {
            let memory = Buffer<Float>(count: 2 * rows * columns)
            let blocks = (0..<2).map { MatrixView(memory.pointer + $0 * rows * columns, rows: rows, columns: columns) }
            for place in 0..<2 { try read(place, blocks[place]) }
            return (0..<rows).map { row in
                let (a, b) = (blocks[0].rows(row..<row + 1).floats, blocks[1].rows(row..<row + 1).floats)
                var (product, first, second) = (0.0, 0.0, 0.0)
                for i in 0..<columns {
                    product += Double(a[i]) * Double(b[i])
                    first += Double(a[i]) * Double(a[i])
                    second += Double(b[i]) * Double(b[i])
                }
                return product / (first * second).squareRoot()
            }.min() ?? 1
        }
    }
}
