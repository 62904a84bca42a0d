import Foundation
import Media
import TestSupport
import Testing

/// Time faults at random places and of random sizes; the pictures' numbers and ffprobe say what is right.
@Suite struct RandomTimesTests {
    static let fps = 10
    static let pictures = 300

    private static func base(_ directory: FaultDirectory, _ name: String, reordered: Bool) throws {
        try NumberedImages.encode(
            0..<pictures, width: 64, height: 48,
            options: [
                "-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-bf", reordered ? "2" : "0",
                "-g", "20",
            ], to: directory.file(name + ".mp4"))
        try RealTool.ffmpeg(["-i", directory.file(name + ".mp4"), "-c", "copy", directory.file(name + ".ts")])
    }

    func numbers(_ outcome: Outcome) -> [Int] {
        outcome.frames.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) }
    }

    /// Expects second k to show `right[k]`, give or take a picture, and as many seconds, give or take `spare`.
    ///
    /// - Parameter excused: seconds that may show an earlier picture because the right one was left out, which a note must say.
    func expect(
        _ outcome: Outcome, _ right: some Collection<Int>, spare: Int, excused: Int = 0, _ input: String
    ) {
        let found = numbers(outcome)
        let isSaid = outcome.notes.contains { ["out_of_order", "stray_times"].contains($0) }
        let off = zip(found, right).enumerated().filter { abs($1.0 - $1.1) > 1 }
        let isExcused = isSaid && off.count <= excused && off.allSatisfy { (0...8).contains($1.1 - $1.0) }
        let wrong = isExcused ? nil : off.first
        let said = wrong.map { "t = \($0.offset) shows \($0.element.0), not \($0.element.1)" } ?? ""
        #expect(
            wrong == nil && abs(found.count - right.count) <= spare,
            "\(input): \(found.count) of \(right.count) frames; \(said); notes \(outcome.notes)")
    }

    /// Stamps of a transport stream are rewritten: the right times are those before.
    @Test func `stamps that are wrong for a while move no other picture`() throws {
        let directory = try FaultDirectory()
        try Self.base(directory, "plain", reordered: false)
        try Self.base(directory, "reordered", reordered: true)
        let bases = try ["plain.ts", "reordered.ts"].map {
            [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory.file($0))))
        }
        for seed in 0..<UInt64(LongRun.count(of: 600) ?? 40) {
            var random = SeededNumbers(state: seed)
            let which = Int.random(in: 0...1, using: &random)
            let place = Int.random(in: 12..<270, using: &random)
            let kind = Int.random(in: 0...6, using: &random)
            let step = Int64.random(in: 9_000...890_000, using: &random)
            let length = Int.random(in: 2...5, using: &random)
            let wild = Int64.random(in: 1_000_000...4_000_000_000, using: &random)
            let jitter = (0..<Self.pictures).map { _ in Int64.random(in: -900...900, using: &random) }
            let bytes = TransportStream.retime(bases[which]) { number, time in
                switch kind {
                case 0: number == place ? max(0, time - step) : time
                case 1: (place..<place + length).contains(number) ? max(0, time - step) : time
                case 2: time + jitter[number]
                case 3: number == place ? time + min(step, 720_000) : time
                case 4: number == place ? time + wild : time
                case 5: number == place ? time - 9_000 : time
                default: time + wild
                }
            }
            let path = directory.file("case.ts")
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            let input = "seed \(seed): ts, kind \(kind), picture \(place), step \(step), base \(which), wild \(wild)"
            // Jitter moves the first and the last picture as well: the covered length may pass a whole second.
            expect(
                try decode(path), (0..<31).map { min($0 * Self.fps, Self.pictures - 1) }.dropLast(kind == 2 ? 0 : 1),
                spare: kind == 2 ? 1 : 0, excused: kind < 6 && kind != 2 ? 2 : 0, input)
        }
    }

    /// Pauses and starts that a multiplexer wrote: ffprobe says the right times.
    @Test func `pauses keep their times in every container`() throws {
        let directory = try FaultDirectory()
        try Self.base(directory, "plain", reordered: false)
        let containers = ["ts", "mp4", "mov", "mkv", "flv"]
        for seed in 1000..<1000 + UInt64(LongRun.count(of: 600) ?? 40) {
            var random = SeededNumbers(state: seed)
            let container = containers[Int(seed) % containers.count]
            let place = Int.random(in: 12..<285, using: &random)
            let long = Bool.random(using: &random)
            let gap = Double(Int.random(in: long ? 150...1200 : 20...90, using: &random)) / 10
            let offset = Bool.random(using: &random) ? Int.random(in: 0...40, using: &random) : 0
            let path = directory.file("case." + container)
            let moved = "gte(N\\,\(place))*\(gap)/TB"
            try RealTool.ffmpeg([
                "-i", directory.file("plain.mp4"), "-c", "copy", "-bsf:v", "setts=pts=PTS+\(moved):dts=DTS+\(moved)",
                "-output_ts_offset", "\(offset)", path,
            ])
            let listed = try RealTool.ffprobe([
                "-select_streams", "v:0", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path,
            ])
            let times = listed.split(whereSeparator: { $0.isNewline || $0 == "," }).compactMap { Double($0) }.sorted()
            let input = "seed \(seed): \(container), pause of \(gap) s at picture \(place), offset \(offset)"
            guard times.count == Self.pictures, let first = times.first, let last = times.last else {
                Issue.record("\(input): ffprobe has \(times.count) times")
                continue
            }
            let seconds = Int((last - first + 0.1).rounded(.up))
            let right = (0..<seconds).map { second in
                (times.lastIndex { $0 - first <= Double(second) + 0.001 }) ?? 0
            }
            expect(try decode(path), right, spare: 1, input)
        }
    }
}
