import Foundation
import Media
import Testing

@Suite struct ImagePreprocessingTests {
    static let still = ["img0_640x360", "img1_361x641", "img2_336x336", "img3_100x80", "img4_1920x1080", "img5_37x500"]
    static let frames = [
        "video0_frame0_64x48", "video0_frame1_64x48", "video0_frame2_64x48", "video1_frame0_500x375",
        "video1_frame1_500x375", "video2_frame0_336x336", "video2_frame1_336x336", "video3_frame0_406x720",
        "video3_frame1_406x720",
    ]

    private func preprocessing(side: Int, _ ratio: String, layout: FrameLayout = .squashNearest) throws
        -> ImagePreprocessing
    {
        let text = """
            {"size": \(side), "crop_size": {"height": \(side), "width": \(side)}, "resample": 3,
             "longtake_frame_layout": "\(layout.rawValue)"}
            """
        return try ImagePreprocessing(preprocessorConfig: Array(text.utf8), imageAspectRatio: ratio)
    }

    private func largestDifference(_ left: [Float], _ right: [Float]) -> Float {
        guard left.count == right.count else { return .infinity }
        return zip(left, right).map { abs($0 - $1) }.max() ?? .infinity
    }

    @Test(arguments: still, ["crop", "pad"])
    func `a still picture at 336 has the reference's bytes and samples`(name: String, mode: String) throws {
        let picture = try ImageGolden.picture("case10_preprocess/png/\(name).png")
        let short = String(name.prefix(4))
        let expected = try ImageGolden.picture("case10_preprocess/expected_png/\(short).\(mode).png")
        let config = try ImageGolden.bytes("case10_preprocess/preprocessor_config.json")
        let subject = try ImagePreprocessing(
            preprocessorConfig: config, imageAspectRatio: mode == "pad" ? "pad" : "square")
        let made = subject.square(picture)
        let isEqual = made == expected
        #expect(isEqual)

        let listed = try #require(try PreprocessCase.load().images[short])
        #expect(listed.size_wh == picture.size)
        let result = mode == "pad" ? listed.pad : listed.crop
        let values = subject.normalized(made)
        for sample in result.samples {
            let index = (Int(sample[0]) * 336 + Int(sample[1])) * 336 + Int(sample[2])
            #expect(values[index] == Float(sample[3]))
        }
        let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
        let variance = values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(values.count)
        #expect(abs(mean - result.mean) < 1e-6)
        // The listed deviation divides by count or by count - 1: 3e-6 apart, relatively.
        #expect(abs(variance.squareRoot() - result.std) < 1e-5)
    }

    @Test(arguments: still, ["crop", "pad"])
    func `a still picture at 56 has the reference's floats`(name: String, mode: String) throws {
        let picture = try ImageGolden.picture("case10_preprocess/png/\(name).png")
        let tensors = try GoldenImageTensors("case10_preprocess/expected.safetensors")
        let expected = try tensors.floats("\(name.prefix(4)).\(mode).size56.pixel_values_chw")
        let subject = try preprocessing(side: 56, mode == "pad" ? "pad" : "square")
        let made = subject.normalized(subject.square(picture))
        #expect(largestDifference(made, expected) <= 1e-6)
        let isEqual = made == expected
        #expect(isEqual)
    }

    @Test(arguments: 0..<4)
    func `a frame is squashed by the reference's rows and columns`(video: Int) throws {
        let golden = try PreprocessCase.load()
        let listed = [golden.video0, golden.video1, golden.video2, golden.video3][video]
        let tensors = try GoldenImageTensors("case10_preprocess/expected.safetensors")
        let rows = try tensors.integers("video\(video).row_index_of_each_output_row")
        let columns = try tensors.integers("video\(video).col_index_of_each_output_col")
        let subject = try preprocessing(side: 336, "pad")
        let names = Self.frames.filter { $0.hasPrefix("video\(video)_") }
        #expect(names.count == listed.frames)
        for name in names {
            let frame = try ImageGolden.picture("case10_preprocess/png/\(name).png")
            #expect(frame.size == [listed.width, listed.height] as [Int])
            var expected: [UInt8] = []
            for row in rows {
                for column in columns {
                    let start = (row * frame.width + column) * 3
                    expected.append(contentsOf: frame.pixels[start..<(start + 3)])
                }
            }
            let made = subject.frame(frame)
            let isSquashed = made == RGBImage(width: 336, height: 336, pixels: expected)
            #expect(isSquashed)
            if name.contains("frame0") {
                let path = "case10_preprocess/expected_png/video\(video).first_frame_nearest_336.png"
                let isFirst = try made == ImageGolden.picture(path)
                #expect(isFirst)
            }
            // The reference's resize and crop do nothing after the squash, padded or not.
            let isUnchanged = subject.square(made) == made
            #expect(isUnchanged)
        }
        #expect(
            ReferenceSampling.indices(frameCount: listed.frames, count: listed.frames)
                == listed.frame_indices_with_num_frm_eq_total)
    }

    @Test func `nearest indices are the listed tables`() throws {
        let tables = try PreprocessCase.load().nearest_index_tables
        #expect(tables.count == 12)
        for (text, table) in tables {
            let width = try #require(Int(text))
            // A ramp whose bytes say which column they are.
            let pixels: [UInt8] = (0..<width).flatMap { [UInt8($0 & 255), UInt8($0 >> 8), 0] as [UInt8] }
            let made = PillowResize.nearest(RGBImage(width: width, height: 1, pixels: pixels), width: 336, height: 1)
            let columns: [Int] = (0..<336).map { Int(made.pixels[$0 * 3]) + 256 * Int(made.pixels[$0 * 3 + 1]) }
            #expect(columns == table, "width \(width)")
        }
    }

    @Test func `parts are the reference's blocks`() throws {
        let cases = try PreprocessCase.load().split_image
        #expect(cases.count == 4)
        for split in cases {
            func color(_ x: Int, _ y: Int) -> [UInt8] { [UInt8(x & 255), UInt8(y & 255), UInt8(x >> 8)] }
            var pixels: [UInt8] = []
            for y in 0..<split.h { for x in 0..<split.w { pixels += color(x, y) } }
            let picture = RGBImage(width: split.w, height: split.h, pixels: pixels)
            let parts = ImagePreprocessing.clip(side: 336).parts(picture, ratio: split.n)
            #expect(parts.map { $0.size } == split.block_sizes_wh)
            let endsWhole = parts.last == picture
            #expect(endsWhole)
            for (index, part) in parts.dropLast().enumerated() {
                let left = index % split.n * (split.w / split.n)
                let top = index / split.n * (split.h / split.n)
                #expect(Array(part.pixels.prefix(3)) == color(left, top))
                #expect(Array(part.pixels.suffix(3)) == color(left + part.width - 1, top + part.height - 1))
            }
        }
    }

    @Test func `frame indices are the reference's`() throws {
        let golden = try PreprocessCase.load()
        #expect(golden.frame_indices_1fps.count == 20)
        for sampling in golden.frame_indices_1fps {
            let made = ReferenceSampling.indices(frameCount: sampling.total_frames, framesPerSecond: sampling.fps)
            #expect(made.count == sampling.num_frames, "\(sampling.total_frames) at \(sampling.fps)")
            if let indices = sampling.indices { #expect(made == indices) }
            if let ends = sampling.first_last_20 {
                #expect(Array(made.prefix(20)) == ends[0])
                #expect(Array(made.suffix(20)) == ends[1])
            }
            if let sum = sampling.sum { #expect(made.reduce(0, +) == sum) }
        }
        let worker = golden.frame_indices_cap180_of_model_worker
        #expect(ReferenceSampling.indices(frameCount: worker.total_frames, count: 180) == worker.indices)
        #expect(golden.frame_indices_total_desired.count == 11)
        for desired in golden.frame_indices_total_desired {
            #expect(ReferenceSampling.indices(frameCount: desired.total, count: desired.desired) == desired.indices)
        }
    }

    @Test func `strange frame counts and rates give no indices and no trap`() {
        for (count, rate, sample) in [
            (0, 30.0, 1.0), (-5, 30, 1), (10, 0, 1), (10, -1, 1), (10, .nan, 1), (10, .infinity, 1), (10, 30, 0),
            (10, 30, -1), (10, 30, .nan), (29, 30, 1),
        ] {
            #expect(ReferenceSampling.indices(frameCount: count, framesPerSecond: rate, sampleRate: sample).isEmpty)
        }
        #expect(ReferenceSampling.indices(frameCount: 10, framesPerSecond: 1e-300) == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8])
        #expect(ReferenceSampling.indices(frameCount: .max, count: 3).count == 3)
        #expect(ReferenceSampling.indices(frameCount: 60, framesPerSecond: 30, sampleRate: 2).count == 4)
    }

    @Test(arguments: [
        ("llama31.image_pad", "a", "pad", 1), ("llama31.image_crop", "b", "square", 1),
        ("llama31.hires", "a", "pad", 2),
        ("vicuna.image_pad", "b", "pad", 1),
    ])
    func `end to end stills have the reference's bytes`(flow: String, file: String, ratio: String, n: Int) throws {
        let picture = try ImageGolden.picture("case11_end_to_end/png/\(file).png")
        let tensors = try GoldenImageTensors("case11_end_to_end/expected.safetensors")
        let expected = try tensors.pictures("\(flow).images_uint8_hwc")
        let subject = try preprocessing(side: 56, ratio)
        let made = subject.parts(picture, ratio: n).map(subject.square)
        let differing = zip(made, expected).map { pair in zip(pair.0.pixels, pair.1.pixels).count { $0 != $1 } }
        #expect(made.count == expected.count)
        #expect(differing == [Int](repeating: 0, count: expected.count))
    }

    @Test(arguments: [("llama31.video", 1), ("llama31.video_hires", 2), ("vicuna.video", 1)])
    func `end to end frames have the reference's bytes`(flow: String, n: Int) throws {
        let all = try GoldenImageTensors("case11_end_to_end/inputs.safetensors").pictures("video.frames_uint8")
        let tensors = try GoldenImageTensors("case11_end_to_end/expected.safetensors")
        let expected = try tensors.pictures("\(flow).images_uint8_hwc")
        let indices = ReferenceSampling.indices(frameCount: all.count, framesPerSecond: 7.5)
        #expect(indices == [3, 11, 18, 25, 33, 40])
        let subject = try preprocessing(side: 56, "pad")
        let made = indices.flatMap { subject.frameParts(all[$0], ratio: n) }
        let differing = zip(made, expected).map { pair in zip(pair.0.pixels, pair.1.pixels).count { $0 != $1 } }
        #expect(made.count == expected.count)
        #expect(differing == [Int](repeating: 0, count: expected.count))
    }

    @Test func `frame layouts differ as their names say`() throws {
        // Left half black, right half white, twice as wide as high.
        let pixels = (0..<(80 * 40)).flatMap { [UInt8](repeating: $0 % 80 < 40 ? 0 : 255, count: 3) }
        let frame = RGBImage(width: 80, height: 40, pixels: pixels)
        for layout in FrameLayout.allCases {
            let made = try preprocessing(side: 56, "square", layout: layout).frame(frame)
            #expect(made.size == [56, 56])
            let corner = Array(made.pixels.prefix(3))
            #expect(corner == (layout == .padBicubic ? [122, 116, 104] : [0, 0, 0]))
            #expect(made.pixels[28 * 56 * 3] == 0)
            #expect(made.pixels[(28 * 56 + 55) * 3] == 255)
        }
    }

    @Test func `a long thin picture costs no more than its middle`() throws {
        let thin = RGBImage(width: 65535, height: 1, pixels: [UInt8](repeating: 77, count: 65535 * 3))
        for ratio in ["square", "pad"] {
            let made = try preprocessing(side: 336, ratio).square(thin)
            #expect(made.size == [336, 336])
            #expect(made.pixels[(168 * 336 + 168) * 3] == (ratio == "square" ? 77 : 122))
        }
        let parts = ImagePreprocessing.clip(side: 56).parts(thin, ratio: 3)
        #expect(parts.map { $0.size } == Array(repeating: [21845, 1], count: 9) + [[65535, 1]])
    }
}
