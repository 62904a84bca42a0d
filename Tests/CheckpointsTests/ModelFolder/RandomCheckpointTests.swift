import Checkpoints
import Foundation
import Longtake
import Models
import Tensors
import Testing
import Tokenizers

@Suite("Random checkpoints") struct RandomCheckpointTests {
    private func files(of folder: String) throws -> [String: Data] {
        var found: [String: Data] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            let path = "\(folder)/\(name)"
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue else {
                continue
            }
            found[name] = try Data(contentsOf: URL(filePath: path))
        }
        return found
    }

    @Test("a nano checkpoint opens, validates and tokenizes", arguments: RandomCheckpoint.DataType.allCases)
    func roundTrip(type: RandomCheckpoint.DataType) throws {
        try withTemporaryFolder { folder in
            let path = folder + "/nano/"
            var last: (Int64, Int64) = (0, 0)
            try RandomCheckpoint.write(.nano, type: type, to: path, seed: 1) { last = ($0, $1) }
            let planned = RandomCheckpoint.plannedBytes(.nano, type: type)
            #expect(last == (planned, planned))
            #expect(!FileManager.default.fileExists(atPath: folder + "/nano.partial"))
            #expect(!FileManager.default.fileExists(atPath: folder + "/nano/.longtake-writing"))

            let checkpoint = try CheckpointFolder(path: folder + "/nano", environment: [:])
            #expect(try checkpoint.validate() == ["random weights: the answers of this model are noise"])
            #expect(try checkpoint.scanNonFinite().isEmpty)
            let parts = RandomCheckpoint.Shape.nano.parts
            #expect(checkpoint.language == parts.language)
            #expect(checkpoint.fusion == parts.fusion)
            #expect(checkpoint.vision == parts.vision)
            #expect(checkpoint.towerSource == .folder)
            #expect(checkpoint.stopTokenIDs == [601, 608, 609] && checkpoint.beginTokenID == 600)
            #expect(checkpoint.preprocessorConfigBytes != nil)
            #expect(checkpoint.weights.dataBytes + (checkpoint.towerWeights?.dataBytes ?? 0) == Int(planned))

            // Deviations are what the fan-in asks for, norms lie around one.
            let tensors = checkpoint.weights.tensors
            let query = try #require(try tensors["model.layers.0.self_attn.q_proj.weight"]?.floats())
            let square = query.reduce(0) { $0 + $1 * $1 } / Float(query.count)
            #expect(abs(square * 192 - 1) < 0.05)
            #expect(abs(query.reduce(0, +) / Float(query.count)) < 0.002)
            let norm = try #require(try tensors["model.norm.weight"]?.floats())
            #expect(norm.allSatisfy { abs($0 - 1) < 0.1 } && Set(norm).count > 10)
        }
    }

    @Test("a random LLaVA-v1.5 opens with its parts, and ends its answers as Vicuna does")
    func uncompressed() throws {
        try withTemporaryFolder { folder in
            try RandomCheckpoint.write(.llavaNano, type: .bf16, to: folder + "/plain", seed: 1)
            let checkpoint = try CheckpointFolder(path: folder + "/plain", environment: [:])
            try checkpoint.validate()
            let parts = RandomCheckpoint.Shape.llavaNano.parts
            #expect(checkpoint.kind == .llava && checkpoint.language == parts.language)
            #expect(checkpoint.fusion == parts.fusion && checkpoint.vision == parts.vision)
            #expect(parts.fusion.tokensPerFrame == 36 && !parts.fusion.fusesText)
            let tokenizer = try TokenizerLoader.load(folder: URL(filePath: folder + "/plain"))
            #expect(tokenizer.id(ofSpecial: "</s>") == 602 && checkpoint.stopTokenIDs == [602])
            let choice = try TemplateChoice.choose(folder: URL(filePath: folder + "/plain"), tokenizer: tokenizer)
            #expect(choice.template == .vicunaV1)
            #expect(ModelCost(checkpoint) == RandomCheckpoint.cost(of: .llavaNano, type: .bf16))
        }
    }

    @Test("the tokenizer of a random checkpoint is Llama 3's in kind", arguments: RandomCheckpoint.Shape.allCases)
    func tokenizer(shape: RandomCheckpoint.Shape) throws {
        try withTemporaryFolder { folder in
            for file in RandomCheckpoint.tokenizerFiles(of: shape) {
                try Data(file.text.utf8).write(to: URL(filePath: "\(folder)/\(file.name)"))
            }
            let tokenizer = try TokenizerLoader.load(folder: URL(filePath: folder))
            let first = Int32(shape.regularTokens)
            #expect(tokenizer.family == .llama3)
            #expect(tokenizer.vocabularySize == shape.parts.language.vocabularySize)
            #expect(tokenizer.beginID == first && tokenizer.endID == first + 9)
            #expect(tokenizer.id(ofSpecial: "<|start_header_id|>") == first + 6)
            #expect(tokenizer.id(ofSpecial: "<|reserved_special_token_247|>") == first + 255)
            let choice = try TemplateChoice.choose(folder: URL(filePath: folder), tokenizer: tokenizer)
            #expect(choice == TemplateChoice(template: .llavaLlama31, chatTemplate: .early))

            let text = "What is the man holding? \n 你好 <|eot_id|> \u{0} 12345 e\u{301}"
            let ids = tokenizer.encode(text)
            #expect(ids.allSatisfy { $0 < first })
            #expect(ids.count < text.utf8.count)
            #expect(tokenizer.decode(ids, cleanUp: false) == text)
            #expect(tokenizer.encode(" the and").count == 2)
            for id in 0..<first { #expect(!tokenizer.tokenBytes(id).isEmpty) }
            #expect(!tokenizer.decode(Array(0..<first)).isEmpty)
        }
    }

    @Test("the same seed gives the same files, another one other weights only")
    func seeds() throws {
        try withTemporaryFolder { folder in
            for (name, seed) in [("a", 7), ("b", 7), ("c", 8)] as [(String, UInt64)] {
                try RandomCheckpoint.write(.nano, type: .bf16, to: "\(folder)/\(name)", seed: seed)
            }
            let first = try files(of: folder + "/a")
            #expect(try first == files(of: folder + "/b"))
            let other = try files(of: folder + "/c")
            let changed = first.filter { other[$0.key] != $0.value }.keys.sorted()
            #expect(changed == ["model.safetensors", "vision_tower/model.safetensors"])
        }
    }

    @Test("shards hold the same tensors as one file, in bf16 what f32 rounds to")
    func shards() throws {
        try withTemporaryFolder { folder in
            let limit = 500_000
            try RandomCheckpoint.write(
                .nano, type: .f32, to: folder + "/many", seed: 3, shardLimit: limit, free: nil, progress: { _, _ in })
            try RandomCheckpoint.write(.nano, type: .bf16, to: folder + "/one", seed: 3)
            let many = try CheckpointFolder(path: folder + "/many", environment: [:])
            let one = try CheckpointFolder(path: folder + "/one", environment: [:])
            try many.validate()
            #expect(many.weights.files.count > 5 && one.weights.files.count == 1)
            #expect(many.weights.files.first?.name.hasPrefix("model-00001-of-000") == true)
            #expect(many.weights.files.allSatisfy { $0.file.fileBytes <= limit || $0.file.names.count == 1 })
            for name in ["model.embed_tokens.weight", "model.compressor.attn.in_proj_bias", "model.norm.weight"] {
                let exact = try #require(try many.weights.tensors[name]?.floats())
                let rounded = try #require(try one.weights.tensors[name]?.floats())
                #expect(zip(exact, rounded).allSatisfy { abs($0 - $1) <= abs($0) / 256 })
            }
        }
    }

    @Test("llava-mini-8b is as large as the real one")
    func fullSize() throws {
        let shape = RandomCheckpoint.Shape.llavaMini8B
        let bytes = RandomCheckpoint.plannedBytes(shape, type: .bf16)
        #expect((16_600_000_000...18_500_000_000).contains(bytes), "\(bytes)")
        #expect(RandomCheckpoint.plannedBytes(shape, type: .f32) == 2 * bytes)
        let (model, tower) = RandomCheckpoint.tensors(of: shape)
        let shapes = Dictionary(uniqueKeysWithValues: (model + tower).map { ($0.name, $0.shape) })
        // Llama 3.1 8B has 291 tensors and 8,030,261,248 parameters.
        #expect(model.filter { $0.part == .language }.count == 291)
        #expect(model.filter { $0.part == .language }.reduce(0) { $0 + $1.count } == 8_030_261_248)
        #expect(model.filter { $0.part == .prefusion }.count == 36)
        #expect(shapes["model.embed_tokens.weight"] == [128_256, 4096])
        #expect(shapes["model.layers.31.self_attn.k_proj.weight"] == [1024, 4096])
        #expect(shapes["model.prefusion_layers.3.mlp.down_proj.weight"] == [4096, 14_336])
        #expect(shapes["model.mm_projector.0.weight"] == [4096, 1024])
        #expect(shapes["model.mm_projector.2.weight"] == [4096, 4096])
        #expect(shapes["model.compressor.query"] == [1, 1024])
        #expect(shapes["vision_model.embeddings.position_embedding.weight"] == [577, 1024])
        #expect(tower.count == 391 && tower.reduce(0) { $0 + $1.count } == 303_507_456)
    }

    @Test("a folder with something in it, a full disk and a stopped run leave everything as it was")
    func refusals() throws {
        try withTemporaryFolder { folder in
            func code(_ path: String, free: Int64? = nil, stopAt: Int64 = .max) -> CheckpointError? {
                do {
                    try RandomCheckpoint.write(
                        .nano, type: .bf16, to: path, seed: 1, shardLimit: 1 << 30, free: free
                    ) { done, _ in
                        if done >= stopAt { throw CancellationError() }
                    }
                    return nil
                } catch { return error as? CheckpointError }
            }
            let full = folder + "/full"
            try FileManager.default.createDirectory(atPath: full, withIntermediateDirectories: false)
            try Data([1]).write(to: URL(filePath: full + "/mine.txt"))
            let refused = code(full)
            #expect(refused?.code == .folderNotEmpty)
            #expect(refused?.message.contains("mine.txt") == true)
            #expect(code(full + "/mine.txt")?.code == .folderNotEmpty)

            let disk = code(folder + "/new", free: 1_000_000)
            #expect(disk?.code == .notEnoughDisk)
            #expect(disk?.message.contains("1.0 MB free") == true, "\(String(describing: disk))")
            #expect(code(folder + "/missing/new")?.code == .writeFailed)
            #expect(code("")?.code == .writeFailed && code(folder + "/..")?.code == .writeFailed)
            #expect(throws: CancellationError.self) {
                try RandomCheckpoint.write(.nano, type: .bf16, to: folder + "/new", seed: 1) { done, total in
                    if done > total / 2 { throw CancellationError() }
                }
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["full"])

            // Remains of a killed run go, anything else stays.
            let remains = folder + "/again.partial"
            try FileManager.default.createDirectory(atPath: remains, withIntermediateDirectories: false)
            try Data().write(to: URL(filePath: remains + "/model.safetensors.1.2.incomplete"))
            #expect(code(folder + "/again")?.code == .folderNotEmpty)
            try Data().write(to: URL(filePath: remains + "/.longtake-writing"))
            #expect(code(folder + "/again") == nil)
            #expect(!FileManager.default.fileExists(atPath: remains))
            try CheckpointFolder(path: folder + "/again", environment: [:]).validate()
        }
    }
}
