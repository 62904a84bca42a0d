import Foundation
import Media
import TestSupport
import Testing

/// Files of several streams in random order; the pictures' numbers say which stream was taken.
///
/// Videos that follow one another in time are not among them: each begins at 0.
@Suite struct RandomStreamsTests {
    private struct Source { let name, kind: String; let number, area: Int }

    private static let sources = [
        Source(name: "a.mp4", kind: "video", number: 0, area: 128 * 80),
        Source(name: "b.mp4", kind: "video", number: 1000, area: 128 * 80),
        Source(name: "large.mp4", kind: "video", number: 2000, area: 192 * 112),
        Source(name: "cover.jpg", kind: "cover", number: 3000, area: 256 * 144),
        Source(name: "sound.m4a", kind: "audio", number: 0, area: 0),
    ]

    @Test func `the stream is the one that the rule names`() throws {
        let directory = try FaultDirectory()
        for source in Self.sources where source.kind == "video" {
            let large = source.name == "large.mp4"
            try NumberedImages.encode(
                source.number..<source.number + 50, width: large ? 192 : 128, height: large ? 112 : 80,
                to: directory.file(source.name))
        }
        try NumberedImages.encode(3000..<3001, options: ["-frames:v", "1"], to: directory.file("cover.jpg"))
        try RealTool.ffmpeg([
            "-f", "lavfi", "-i", "sine=duration=5", "-c:a", "aac", directory.file("sound.m4a"),
        ])
        let containers = ["mp4", "mov", "mkv"]
        for seed in 2000..<2000 + UInt64(LongRun.count(of: 800) ?? 40) {
            var random = SeededNumbers(state: seed)
            let container = containers[Int(seed) % containers.count]
            var chosen = Self.sources.filter { _ in Bool.random(using: &random) }
            if !chosen.contains(where: { $0.kind == "video" }) { chosen.append(Self.sources[0]) }
            chosen.shuffle(using: &random)
            let videos = chosen.filter { $0.kind != "audio" }
            var flags: [String] = []
            for index in videos.indices {
                flags += ["-disposition:v:\(index)", Bool.random(using: &random) ? "default" : "0"]
            }
            if container == "mkv" { flags += ["-default_mode", "passthrough"] }
            let path = directory.file("case." + container)
            try RealTool.ffmpeg(
                chosen.flatMap { ["-i", directory.file($0.name)] } + chosen.indices.flatMap { ["-map", "\($0)"] }
                    + ["-c", "copy"] + flags + [path])
            let listed = try RealTool.ffprobe([
                "-select_streams", "v", "-show_entries", "stream_disposition=default", "-of", "csv=p=0", path,
            ])
            let defaults = listed.split(whereSeparator: \.isNewline).map { $0.hasPrefix("1") }
            let input = "seed \(seed): \(container) of \(chosen.map(\.name)), \(flags)"
            guard defaults.count == videos.count else {
                Issue.record("\(input): ffprobe has \(defaults.count) videos")
                continue
            }
            let moving = zip(videos, defaults).filter { $0.0.kind == "video" }
            let marked = moving.filter(\.1)
            let candidates = (marked.isEmpty ? moving : marked).map(\.0)
            let area = candidates.map(\.area).max()
            guard let right = candidates.first(where: { $0.area == area }) else { continue }
            let outcome = try decode(path)
            let found = outcome.frames.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) }
            let numbers = (0..<5).map { right.number + 10 * $0 }
            #expect(found == numbers, "\(input): not \(right.name); notes \(outcome.notes)")
        }
    }
}
