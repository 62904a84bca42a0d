import Foundation
import Media
import TestSupport
import Testing

/// Streams by random number, order, kind and flags: the frames are those that ffprobe's packet times and the numbers drawn into
/// the pictures say, or a note says what is missing.
@Suite struct RandomOrderTests {
    private static let elements = Result {
        let directory = try FaultDirectory()
        let x264 = ["-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-g", "20", "-bf", "0"]
        func encode(_ name: String, _ first: Int, _ width: Int, _ height: Int, _ options: [String], count: Int = 50)
            throws
        {
            try NumberedImages.encode(
                first..<(first + count), width: width, height: height, options: options, to: directory.file(name))
        }
        try encode("h264.mp4", 1000, 256, 144, x264)
        try encode("wide.mp4", 2000, 384, 216, x264)
        try encode("mpeg4.avi", 3000, 320, 240, ["-c:v", "mpeg4", "-q:v", "3"])
        try encode("mjpeg.avi", 4000, 256, 144, ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"])
        try encode("vp9.mkv", 5000, 256, 144, ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"])
        try encode("part.mp4", 1050, 256, 144, x264)
        try encode("part-wide.mp4", 1050, 384, 216, x264)
        try encode("part-mpeg4.avi", 1050, 320, 240, ["-c:v", "mpeg4", "-q:v", "3"])
        try encode("still.avi", 6000, 480, 270, ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"], count: 1)
        try encode("still.ts", 6000, 480, 270, ["-c:v", "mpeg2video", "-q:v", "3"], count: 1)
        try RealTool.ffmpeg(["-f", "lavfi", "-i", "sine=220:r=48000:d=5", "-c:a", "aac", directory.file("sound.m4a")])
        _ = try directory.write("text.srt", "1\n00:00:01,000 --> 00:00:02,000\nHello\n")
        return directory
    }

    /// One file: its inputs in their order, and what to tell ffmpeg.
    private struct Recipe: CustomStringConvertible {
        var container: String
        var inputs: [(name: String, offset: Int)] = []
        var flags: [Bool] = []
        var isSequential = false
        var description: String { "\(container) \(inputs.map { "\($0.name)@\($0.offset)" }) \(flags)" }

        init(seed: Int) {
            var random = SeededNumbers(state: UInt64(seed) &* 7919)
            container = ["mp4", "mkv", "mov", "ts", "avi"][seed % 5]
            var moving = ["h264.mp4", "wide.mp4", "mpeg4.avi"]
            if container != "ts" { moving.append("mjpeg.avi") }
            if container == "mkv" || container == "mp4" { moving.append("vp9.mkv") }
            isSequential = container != "avi" && Bool.random(using: &random)
            if isSequential {
                let second =
                    ["part.mp4", "part-wide.mp4", "part-mpeg4.avi"].randomElement(using: &random) ?? "part.mp4"
                inputs = [("h264.mp4", 0), (second, 5)]
            } else {
                inputs = moving.shuffled(using: &random).prefix(Int.random(in: 1...3, using: &random)).map { ($0, 0) }
            }
            if Bool.random(using: &random) { inputs.append((container == "ts" ? "still.ts" : "still.avi", 0)) }
            if Bool.random(using: &random) { inputs.append(("sound.m4a", 0)) }
            if container != "ts", container != "avi", Bool.random(using: &random) { inputs.append(("text.srt", 0)) }
            inputs.shuffle(using: &random)
            flags = inputs.map { _ in Bool.random(using: &random) }
        }

        func mux(in elements: FaultDirectory, to path: String) throws {
            var words = inputs.flatMap { ["-itsoffset", "\($0.offset)", "-i", elements.file($0.name)] }
            words += inputs.indices.flatMap { ["-map", "\($0)"] } + ["-c", "copy"]
            if container == "mp4" || container == "mov" { words += ["-c:s", "mov_text"] }
            for (index, isDefault) in flags.enumerated() {
                words += ["-disposition:\(index)", isDefault ? "default" : "0"]
            }
            if container == "mkv" { words += ["-default_mode", "passthrough"] }
            try RealTool.ffmpeg(words + [path])
        }
    }

    /// A video stream as ffprobe tells it, its pictures in the order of their times.
    private struct Probed {
        var index: Int
        var isDefault: Bool
        var area: Int
        var first: Int
        var times: [Double] = []
        var end = 0.0
    }

    private struct Report: Decodable {
        struct Stream: Decodable {
            let index: Int
            let codec_type: String
            let width: Int?
            let height: Int?
            let codec_name: String?
            let disposition: [String: Int]
        }
        struct Packet: Decodable {
            let stream_index: Int
            let pts_time: String?
            let dts_time: String?
            let duration_time: String?
        }
        let streams: [Stream]
        let packets: [Packet]
    }

    private func probe(_ path: String, _ recipe: Recipe) throws -> [Probed] {
        let text = try RealTool.ffprobe([
            "-show_entries", "stream=index,codec_type,codec_name,width,height:stream_disposition=default,attached_pic",
            "-show_entries", "packet=stream_index,pts_time,dts_time,duration_time", "-of", "json", path,
        ])
        let report = try JSONDecoder().decode(Report.self, from: Data(text.utf8))
        let firsts = [
            "h264.mp4": 1000, "wide.mp4": 2000, "mpeg4.avi": 3000, "mjpeg.avi": 4000, "vp9.mkv": 5000,
            "still.avi": 6000,
            "still.ts": 6000,
        ]
        return report.streams.filter { $0.codec_type == "video" && $0.disposition["attached_pic"] != 1 }.map { stream in
            let packets = report.packets.filter { $0.stream_index == stream.index }
            let timed = packets.compactMap { packet -> (Double, Double)? in
                (packet.pts_time ?? packet.dts_time).flatMap(Double.init).map {
                    ($0, packet.duration_time.flatMap(Double.init) ?? 0.1)
                }
            }.sorted { $0.0 < $1.0 }
            return Probed(
                index: stream.index, isDefault: stream.disposition["default"] == 1,
                area: (stream.width ?? 0) * (stream.height ?? 0),
                first: firsts[recipe.inputs[stream.index].name] ?? 1050, times: timed.map(\.0),
                end: timed.last.map { $0.0 + $0.1 } ?? 0)
        }
    }

    @Test(arguments: 0..<(LongRun.count(of: 900) ?? 40))
    func `streams by random number, order and kind`(seed: Int) throws {
        let recipe = Recipe(seed: seed)
        let directory = try FaultDirectory()
        let path = directory.file("random." + recipe.container)
        try recipe.mux(in: try Self.elements.get(), to: path)
        let streams = try probe(path, recipe)
        let best = try #require(
            streams.enumerated().max { left, right in
                func rank(_ entry: (offset: Int, element: Probed)) -> [Int] {
                    let stream = entry.element
                    return [min(stream.times.count, 2), stream.isDefault ? 1 : 0, stream.area, -entry.offset]
                }
                return rank(left).lexicographicallyPrecedes(rank(right))
            }?.element)
        let said = Comment(rawValue: "\(recipe)")
        let outcome = try decode(path)
        #expect(outcome.error == nil, said)
        #expect(outcome.result.info.stream == best.index, said)
        #expect(
            outcome.notes.contains("several_video_streams") == (streams.count > 1), "\(recipe) \(outcome.result.notes)")

        var shown = best.times.enumerated().map { (time: $0.element, number: best.first + $0.offset) }
        var end = best.end
        if recipe.isSequential {
            shown = streams.filter { $0.first < 2000 }.flatMap { stream in
                stream.times.enumerated().map { (time: $0.element, number: stream.first + $0.offset) }
            }.sorted { $0.time < $1.time }
            end = streams.filter { $0.first < 2000 }.map(\.end).max() ?? 0
        }
        let start = try #require(shown.first?.time)
        let count = Int(exactly: ((end - start) - 0.001).rounded(.up)) ?? 0
        let expected = (0..<count).map { second in
            shown.last { $0.time - start <= Double(second) + 0.001 }?.number ?? -1
        }
        let got = outcome.frames.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) }
        // Each of these can be followed: a note instead of the pictures would be a step back.
        #expect(got == expected, "\(recipe): \(got), not \(expected); \(outcome.result.notes)")
        #expect(outcome.result.status == .complete, said)
        #expect(outcome.notes.contains("stream_followed") == recipe.isSequential, said)
    }
}
