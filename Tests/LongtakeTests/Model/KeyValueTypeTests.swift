import Checkpoints
import Longtake
import Models
import Tensors
import Testing

extension LongtakeTests {
    /// The language model of the bundled model over keys and values of each type.
    @Suite struct KeyValueTypeTests {
        private func model(_ type: String) throws -> LoadedModel {
            var settings = ModelSettings(precision: .f32, threads: 2)
            try settings.set(keyValues: type)
            return try LoadedModel(path: bundledModel, settings: settings)
        }

        /// Logits after each of the last rows of a text of `count` rows, computed in slices and then row by row, with
        /// the cache moved to a larger one between the two.
        private func logits(_ model: LoadedModel, count: Int, grown: Bool) -> [[Float]] {
            let language = model.llava.language
            var cache = language.makeCache(capacity: grown ? count : count + 8)
            func row(_ index: Int, _ out: UnsafeMutablePointer<Float>) {
                language.embed(Int32(3 + index * 7 % (language.config.vocabularySize - 3)), into: out)
            }
            var all: [[Float]] = []
            func add(_ hidden: MatrixView) {
                var values = [Float](repeating: 0, count: language.config.vocabularySize)
                values.withUnsafeMutableBufferPointer { language.logits(hidden, into: $0.baseAddress!) }
                all.append(values)
            }
            add(
                language.append(count: count, to: cache) { range, out in
                    for (index, position) in range.enumerated() { row(position, out.rows(index..<index + 1).floats) }
                })
            if grown { cache = cache.grown(to: count + 8) }
            for step in 0..<8 { add(language.append(count: 1, to: cache) { row(count + step, $1.floats) }) }
            #expect(cache.count == count + 8)
            return all
        }

        private func largest(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).map { abs($0 - $1) }.max() ?? 0 }

        /// 40 rows are not tiled in f32, 2,300 are; int8 is always tiled.
        @Test(arguments: [40, 2300]) func `int8 and bf16 change logits little, a grown cache not at all`(count: Int)
            throws
        {
            let exact = logits(try model("auto"), count: count, grown: false)
            let range = exact.map { ($0.max() ?? 0) - ($0.min() ?? 0) }.max() ?? 0
            for (type, limit) in [("bf16", Float(0.01)), ("int8", 0.02)] {
                let loaded = try model(type)
                #expect(loaded.llava.language.keyValueType == (type == "int8" ? .i8 : .bf16))
                let found = logits(loaded, count: count, grown: false)
                let off = zip(found, exact).map { largest($0, $1) }.max() ?? .infinity
                print("\(type) keys and values, \(count) rows: logits at most \(off) apart of \(range)")
                #expect(off <= limit * range && off > 0)
                let grown = logits(loaded, count: count, grown: true)
                #expect(grown == found)
            }
        }

        @Test func `an unknown type is refused by name`() throws {
            var settings = ModelSettings()
            #expect(throws: LongtakeError.self) { try settings.set(keyValues: "int4") }
        }
    }
}
