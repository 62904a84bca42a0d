import Checkpoints
import Longtake
import Models
import Tensors
import Testing

extension LongtakeTests {
    /// Rotary tables of the published models' full configurations, up to position 100,000.
    @Suite struct RopeTableTests {
        static let configs: [(name: String, rope: RopeConfig)] = [
            (
                "full_llama31_8b",
                RopeConfig(
                    theta: 500_000,
                    scaling: Llama3Scaling(
                        factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 8192))
            ),
            ("full_llama3_unscaled", RopeConfig(theta: 500_000)),
            ("full_vicuna_7b", RopeConfig(theta: 10_000)),
        ]
        static let positions = [0, 1, 2, 100, 577, 4095, 8191, 8192, 20_000, 100_000]

        @Test(arguments: configs.map(\.name)) func equalsReference(name: String) throws {
            let rope = try #require(Self.configs.first { $0.name == name }).rope
            let expected = try SafetensorsFile(path: "\(golden)/case08_llm/expected.safetensors").tensors
            let table = RotaryEmbedding(rope, headSize: 128)
            let frequencies = try #require(try expected["\(name).inv_freq"]?.floats())
            #expect(frequencies.count == 64)
            for (found, wanted) in zip(table.frequencies, frequencies) {
                #expect(abs(found - wanted) <= 1e-6 * wanted)
            }
            let cosines = try #require(try expected["\(name).cos"]?.floats())
            let sines = try #require(try expected["\(name).sin"]?.floats())
            var worst: Float = 0
            for (row, position) in Self.positions.enumerated() {
                let rotation = table.rotation(from: position, count: 1)
                // The reference repeats the 64 columns.
                for column in 0..<64 {
                    worst = max(worst, abs(rotation.cosines[column] - cosines[row * 128 + column]))
                    worst = max(worst, abs(rotation.sines[column] - sines[row * 128 + column]))
                }
            }
            print("rope \(name): worst \(worst)")
            // One unit in the last place of a frequency is 1e5 · 6e-8 radians at the last position.
            #expect(worst < 0.01)
        }
    }
}
