import Checkpoints
import Foundation
import Models
import Tensors
import Testing

@Suite struct CheckpointFolderTests {
    static let llavaMini = [
        "case01_image_c1_llama31", "case02_image_c2_vicuna", "case03_video_c1_llama31", "case04a_hires_c1",
        "case04b_hires_c2", "case05_video_hires_c1", "case06_prompt_quirks", "case11_end_to_end/model_llama31",
        "case11_end_to_end/model_vicuna", "case12a_tower_in_checkpoint_ignored", "case12b_tower_in_checkpoint_used",
        "case13_truncation",
    ]
    static let llama = ["llama31_scaled_8192", "llama31_scaled_short_original", "tied_tiny_embeddings", "vicuna_mha"]

    @Test("every LLaVA-Mini checkpoint opens and validates", arguments: llavaMini)
    func opens(name: String) throws {
        let checkpoint = try CheckpointFolder(path: "\(goldenFolder)/\(name)", environment: [:])
        try checkpoint.validate()
        let fusion = try #require(checkpoint.fusion), language = try #require(checkpoint.language)
        let vision = try #require(checkpoint.vision)
        #expect(checkpoint.kind == .llavaMini)
        #expect(fusion.compressorWidth == vision.hiddenSize)
        #expect(fusion.compressorSize == (name.contains("c2") || name.contains("vicuna") ? 2 : 1))
        #expect(fusion.resolutionRatio == (name.contains("hires") ? 2 : 1))
        #expect(fusion.projectorDepth == 2)
        #expect((language.rope.scaling == nil) == (name.contains("vicuna") || name.contains("case04b")))
        #expect(checkpoint.imageAspectRatio == "pad")
        #expect(checkpoint.towerSource == (name.contains("case12b") ? .insideCheckpoint : .folder))
        #expect(checkpoint.tokenizerModelMaxLength == (name.contains("case13") ? 20 : 4096))
        #expect(checkpoint.stopTokenIDs == (name.contains("model_llama31") ? [901, 908, 909] : [2]))
        #expect(checkpoint.preprocessorConfigBytes?.isEmpty == false)
        for tensor in checkpoint.expectedTensors {
            let stored = checkpoint.weights.tensors[tensor.name] ?? checkpoint.towerTensors[tensor.name]
            #expect(stored?.shape == tensor.shape, "\(tensor.name)")
        }
    }

    @Test("the frozen tower comes from its folder, the unfrozen one from the checkpoint")
    func towers() throws {
        let frozen = try CheckpointFolder(path: "\(goldenFolder)/case12a_tower_in_checkpoint_ignored", environment: [:])
        let used = try CheckpointFolder(path: "\(goldenFolder)/case12b_tower_in_checkpoint_used", environment: [:])
        let folder = try SafetensorsFile(path: "\(goldenFolder)/towers/clip64_28/model.safetensors")
        let name = "vision_model.embeddings.class_embedding"
        #expect(try frozen.towerTensors[name]?.floats() == folder.tensors[name]?.floats())
        #expect(try used.towerTensors[name]?.floats() != folder.tensors[name]?.floats())
        #expect(frozen.notes.contains { $0.contains("ignored") })
    }

    @Test("plain Llama checkpoints open and validate", arguments: llama)
    func plainLlama(name: String) throws {
        let checkpoint = try CheckpointFolder(path: "\(goldenFolder)/case08_llm/\(name)", environment: [:])
        #expect(try checkpoint.validate().isEmpty)
        #expect(checkpoint.kind == .llama && checkpoint.fusion == nil && checkpoint.vision == nil)
        let language = try #require(checkpoint.language)
        #expect(language.tiedEmbeddings == name.contains("tied"))
        #expect(checkpoint.stopTokenIDs == [2])
        #expect(checkpoint.weights.tensors.count == checkpoint.expectedTensors.count)
    }

    @Test("a folder without weights opens with another folder's")
    func sharedWeights() throws {
        let folder = "\(goldenFolder)/case08_llm/llama31_unscaled_same_weights"
        let donor = "\(goldenFolder)/case08_llm/llama31_scaled_short_original"
        #expect { try CheckpointFolder(path: folder) } throws: { ($0 as? WeightsError)?.code == .weightsMissing }
        let checkpoint = try CheckpointFolder(path: folder, weightsFrom: donor)
        try checkpoint.validate()
        #expect(checkpoint.language?.rope.scaling == nil)
    }

    @Test("CLIP folders open alone, with one tower and with two")
    func clip() throws {
        for name in ["clip1024_56", "clip128_56", "clip128_70", "clip64_28"] {
            let tower = try CheckpointFolder(path: "\(goldenFolder)/towers/\(name)")
            try tower.validate()
            #expect(tower.kind == .clipVision && tower.language == nil && tower.textTower == nil)
            #expect(tower.vision?.projectionSize == nil)
            #expect(tower.towerTensors.count == tower.weights.tensors.count)
        }
        for (name, end) in [("clipmodel_eos_last", 813), ("clipmodel_legacy_eos2", 2)] {
            let both = try CheckpointFolder(path: "\(goldenFolder)/case07_clip/\(name)")
            #expect(try both.validate().isEmpty)
            #expect(both.kind == .clip)
            #expect(both.textTower?.endTokenID == end)
            #expect(both.textTower?.maxPositions == 32 && both.vision?.projectionSize == 48)
            #expect(both.vision?.layerNormEpsilon == 1e-5)
            #expect(both.tokenizer.tokenizerJSON != nil && both.tokenizer.merges != nil)
            #expect(both.weights.tensors.count == both.expectedTensors.count)
            #expect(try both.weights.tensors["logit_scale"]?.floats().count == 1)
        }
    }

    @Test("the values of a golden tensor are what its writer meant")
    func values() throws {
        let file = try SafetensorsFile(path: "\(goldenFolder)/case01_image_c1_llama31/inputs.safetensors")
        let ids = try #require(try file.tensors["input_ids"]?.integers())
        #expect(ids.contains(-200))
        #expect(try file.tensors["images"]?.floats().allSatisfy { abs($0) < 3 } == true)
    }
}
