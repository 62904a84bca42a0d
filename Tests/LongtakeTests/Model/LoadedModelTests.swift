import Checkpoints
import Longtake
import Models
import Tensors
import Testing

extension LongtakeTests {
    /// Any CPU, and a machine whose memory is too small.
    @Suite struct LoadedModelTests {
        private static let question = "What happens in the video?"

        /// Tokens of the index and the answer's ids as one kernel table makes them.
        private func made(_ instructionSet: String) throws -> (tokens: [[Float]], ids: [Int32]) {
            let folder = try Folder()
            let library = try folder.library()
            let model = try LoadedModel(
                path: Shared.model,
                settings: ModelSettings(precision: .f32, threads: 2, instructionSet: instructionSet))
            #expect(model.compute.kernels.name == instructionSet)
            var options = IndexOptions()
            options.record = .f32
            let analyzer = Analyzer(model: model, library: library)
            let indexed = try analyzer.index(Shared.video, options: options)
            let answer = try analyzer.ask(Question(Self.question, maxTokens: 12), about: Shared.video, options: options)
            #expect(answer.recording.index == indexed.index)
            return (try storedTokens(library, indexed.index, width: model.llava.hiddenSize), answer.tokenIDs)
        }

        @Test func everyInstructionSetAnswersTheSame() throws {
            let names = Kernels.available
            #expect(names.last == "portable")
            let portable = try made("portable")
            #expect(portable.tokens.count == 12 && portable.ids.count == 12)
            for name in names.dropLast() {
                let other = try made(name)
                // The bound of parity with the reference.
                let worst = deviation(other.tokens, portable.tokens)
                #expect(worst <= 1e-4, "\(name): \(worst)")
                #expect(other.ids == portable.ids, "\(name)")
            }
        }

        @Test func aModelThatDoesNotFitIsRefusedBeforeItsWeightsAreRead() throws {
            // Choosing kernels comes before the first weight: these do not exist, and nobody gets as far as to say so.
            let settings = ModelSettings(precision: .f32, threads: 1, instructionSet: "none")
            for (budget, said) in [
                (MemoryBudget(machine: 1_000_000), "MemAvailable"),
                (MemoryBudget(machine: 64_000_000_000, group: 1_000_000), "memory.max"),
            ] {
                let error = try #require(throws: CheckpointError.self) {
                    _ = try LoadedModel(path: Shared.model, settings: settings, budget: budget)
                }
                #expect(error.code == .notEnoughMemory)
                let failure = Failure(error)
                #expect(failure.exitCode == Exit.space && failure.code == "not_enough_memory")
                #expect(failure.message.contains(said) && failure.message.contains("of memory"), "\(failure.message)")
            }
            #expect(throws: ComputeError.self) {
                _ = try LoadedModel(path: Shared.model, settings: settings, budget: MemoryBudget(machine: 64 << 30))
            }
            let known = try LoadedModel(
                path: Shared.model, settings: ModelSettings(precision: .f32, threads: 1), budget: nil)
            #expect(known.cost.loadBytes.f32 > 1_000_000)
        }
    }
}
