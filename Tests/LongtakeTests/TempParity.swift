import Foundation
import Testing
@testable import Longtake
import Models
import Tensors

@Test(arguments: ["case01_image_c1_llama31","case02_image_c2_vicuna","case03_video_c1_llama31","case04a_hires_c1","case04b_hires_c2","case05_video_hires_c1","case06_prompt_quirks","case12a_tower_in_checkpoint_ignored","case12b_tower_in_checkpoint_used","case13_truncation"], ["onednn/f32","openblas/f32","onednn/bf16"])
func tempParity(name: String, mode: String) throws {
    let backend = String(mode.split(separator: "/")[0]), prec = String(mode.split(separator: "/")[1])
    let g = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures/golden/")
    let dir = g.appending(path: name)
    func j(_ u: URL) throws -> [String: Any] { try JSONSerialization.jsonObject(with: Data(contentsOf: u)) as! [String: Any] }
    let c = try j(dir.appending(path: "config.json"))
    let towerDir = dir.appending(path: c["mm_vision_tower"] as! String)
    let v = try j(towerDir.appending(path: "config.json"))
    func i(_ k: String, _ d: Int? = nil) -> Int { (c[k] as? Int) ?? d! }
    var sc: Llama3Scaling?
    if let r = c["rope_scaling"] as? [String: Any] {
        sc = Llama3Scaling(factor: r["factor"] as! Double, lowFrequencyFactor: r["low_freq_factor"] as! Double, highFrequencyFactor: r["high_freq_factor"] as! Double, originalMaxPositions: Double(r["original_max_position_embeddings"] as! Int))
    }
    let lang = LanguageConfig(hiddenSize: i("hidden_size"), intermediateSize: i("intermediate_size"), layerCount: i("num_hidden_layers"), headCount: i("num_attention_heads"), keyValueHeadCount: i("num_key_value_heads"), headSize: i("hidden_size") / i("num_attention_heads"), vocabularySize: i("vocab_size"), rmsNormEpsilon: Float(c["rms_norm_eps"] as! Double), rope: RopeConfig(theta: c["rope_theta"] as! Double, scaling: sc), maxPositions: i("max_position_embeddings"), tiedEmbeddings: false)
    func vi(_ k: String) -> Int { v[k] as! Int }
    let vis = VisionConfig(hiddenSize: vi("hidden_size"), intermediateSize: vi("intermediate_size"), layerCount: vi("num_hidden_layers"), headCount: vi("num_attention_heads"), imageSize: vi("image_size"), patchSize: vi("patch_size"), layerNormEpsilon: Float(v["layer_norm_eps"] as! Double))
    let inputs0 = try SafetensorsFile(path: dir.appending(path: "inputs.safetensors").path)
    let sh = inputs0.tensors["images"]!.shape
    let parts = sh[sh.count - 4]
    let n = parts > 1 ? Int(Double(parts - 1).squareRoot()) : 1
    let fus = FusionConfig(compressorSize: i("compressor_size"), compressorWidth: i("compressor_embed_dim", 1024), compressorHeadCount: i("compressor_num_heads", 8), projectorDepth: 2, prefusionLayerCount: i("prefusion_layer_num"), visionSelectLayer: -2, resolutionRatio: n)
    let compute = try Compute(precision: WorkType(rawValue: prec)!, backend: Backend(rawValue: backend), threads: 2)
    let w = try SafetensorsFile(path: dir.appending(path: "model.safetensors").path).tensors
    let tw = try SafetensorsFile(path: towerDir.appending(path: "model.safetensors").path).tensors
    let inside = (c["unfreeze_mm_vision_tower"] as? Bool) == true
    let model = try LlavaMini(WeightReader(w, compute: compute), tower: inside ? WeightReader(w, prefix: "model.vision_tower.vision_tower.vision_model.", compute: compute) : WeightReader(tw, prefix: "vision_model.", compute: compute), language: lang, vision: vis, fusion: fus)
    let cj = try j(dir.appending(path: "case.json"))
    let stop = (cj["stop_test"] as? [String: Any])?["eos_token_id"] as? [Int]
    let parity = LlavaParity(model: model, inputs: try GoldenTensors(path: dir.appending(path: "inputs.safetensors").path, kernels: compute.kernels), expected: try GoldenTensors(path: dir.appending(path: "expected.safetensors").path, kernels: compute.kernels), tolerance: ParityTolerance(precision: compute.precision), truncation: c["tokenizer_model_max_length"] as? Int, stopTest: stop)
    var report = ParityReport(name: name, precision: prec)
    try parity.run(into: &report)
    let worst = report.tensors.max { $0.absolute < $1.absolute }!
    print("PARITY \(name) \(mode): tensors \(report.tensors.count) worst \(worst.name) \(worst.absolute) greedy \(report.greedy.filter { $0.equal }.count)/\(report.greedy.count) passed \(report.passed)", report.tensors.filter{ !$0.withinTolerance }.prefix(4).map { "\($0.name) \($0.absolute) \($0.cosine)" }, report.greedy.filter { !$0.equal }.prefix(2).map { "\($0.name)" })
    #expect(report.passed)
}
