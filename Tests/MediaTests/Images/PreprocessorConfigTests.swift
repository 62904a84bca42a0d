import Foundation
import Media
import Testing

@Suite struct PreprocessorConfigTests {
    private func read(_ text: String, _ ratio: String = "square") throws -> ImagePreprocessing {
        try ImagePreprocessing(preprocessorConfig: Array(text.utf8), imageAspectRatio: ratio)
    }

    @Test func `old and new style say the same`() throws {
        let old = try ImagePreprocessing(
            preprocessorConfig: ImageGolden.bytes("case10_preprocess/preprocessor_config.json"),
            imageAspectRatio: "square")
        let new = try ImagePreprocessing(
            preprocessorConfig: ImageGolden.bytes("case10_preprocess/preprocessor_config.new_style.json"),
            imageAspectRatio: "square")
        #expect(old == new)
        #expect(old == .clip(side: 336))
        #expect(old.side == 336)
        #expect(old.frameLayout == .squashNearest)
        #expect(try read("{}").side == 224)
    }

    @Test func `the identity names what changes the pixels and nothing else`() throws {
        let plain = try read(#"{"size": 336, "crop_size": 336}"#)
        #expect(
            plain.identity
                == "pictures=1;side=336;mean=0.48145467,0.4578275,0.40821072;std=0.26862955,0.2613026,0.2757771"
                + ";rescale=0.00392156862745098;still=crop;pad=122,116,104;frame=squash_nearest")
        #expect(try read(#"{"size": 336, "crop_size": 336}"#, "anything").identity == plain.identity)
        let others = [
            try read(#"{"size": 336, "crop_size": 336}"#, "pad"),
            try read(#"{"size": 224, "crop_size": 224}"#),
            try read(#"{"size": 336, "crop_size": 336, "image_mean": [0.5, 0.5, 0.5]}"#),
            try read(#"{"size": 336, "crop_size": 336, "image_std": [0.5, 0.5, 0.5]}"#),
            try read(#"{"size": 336, "crop_size": 336, "rescale_factor": 0.004}"#),
            try read(#"{"size": 336, "crop_size": 336, "longtake_frame_layout": "pad_bicubic"}"#),
        ].map(\.identity)
        #expect(Set(others + [plain.identity]).count == 7)
    }

    @Test(arguments: [
        (#"{"size": 13, "crop_size": 13}"#, "size is 13; it must be from 14 to 1024"),
        (#"{"size": 1025, "crop_size": 1025}"#, "size is 1025; it must be from 14 to 1024"),
        (#"{"size": -9223372036854775808, "crop_size": -9223372036854775808}"#, "size is -9223372036854775808;"),
        (#"{"size": 336}"#, "size 336 and crop_size 224 differ"),
        (#"{"size": {"height": 336, "width": 336}, "crop_size": 336}"#, "size has no shortest_edge"),
        (#"{"size": 336, "crop_size": {"height": 336, "width": 300}}"#, "crop_size is not a square"),
        (#"{"size": 336, "crop_size": {"height": 336}}"#, "crop_size is not a square"),
        (#"{"size": "large"}"#, "size has a value of the wrong type"),
        (#"{"resample": 2}"#, "resample is 2; only 3 (bicubic) is supported"),
        (#"{"image_mean": [0.5, 0.5]}"#, "image_mean has 2 values; it must have 3"),
        (#"{"image_mean": [0.5, 0.5, 1e39]}"#, "image_mean has 1e+39, which is not finite"),
        (#"{"image_std": [0.5, 0.5, 0]}"#, "image_std has 0.0; it must be above 0"),
        (#"{"image_std": [0.5, 0.5, 1e-60]}"#, "image_std has 1e-60; it must be above 0"),
        (#"{"image_std": [0.5, 0.5, null]}"#, "has a value of the wrong type"),
        (#"{"rescale_factor": 0}"#, "rescale_factor is 0.0; it must be above 0"),
        (#"{"do_normalize": false}"#, "do_normalize is false; only true is supported"),
        (#"{"longtake_frame_layout": "squash"}"#, #"longtake_frame_layout is "squash"; use one of squash_nearest, "#),
        ("[]", "is not a JSON object"), ("{", "is not a JSON object"), ("", "is not a JSON object"),
    ])
    func `a config that cannot be followed is refused`(text: String, fault: String) throws {
        do {
            _ = try read(text)
            Issue.record("accepted: \(text)")
        } catch let error as ImageError {
            #expect(error.code == .badConfig)
            #expect(error.description.hasPrefix("preprocessor_config.json: "))
            #expect(error.description.contains(fault), "\(error)")
        }
    }

    @Test func `hostile configs are refused without a trap`() {
        let texts = [
            String(repeating: "[", count: 500_000), #"{"size": "# + String(repeating: "[", count: 100_000),
            String(repeating: " ", count: 2 << 20), #"{"size": 1e400}"#, #"{"image_mean": [1e308, -1e308, 1e999]}"#,
        ]
        for text in texts {
            #expect(throws: ImageError.self) { try read(text) }
        }
    }
}
