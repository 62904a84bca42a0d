import Foundation
import Media
import TestSupport
import Testing

/// Time faults of the kinds that one container alone has; as in `RandomTimesTests`.
extension RandomTimesTests {
    /// Noise makes each picture larger than a pack: each gets a time of its own.
    private static func program(_ directory: FaultDirectory, _ name: String, _ options: [String]) throws {
        try NumberedImages.encode(
            0..<200, width: 128, height: 96, options: ["-vf", "noise=alls=30:allf=t", "-pix_fmt", "yuv420p"] + options,
            to: directory.file(name))
    }

    private static let h264 = ["-c:v", "libx264", "-preset", "superfast", "-crf", "26", "-bf", "0", "-g", "20"]

    @Test func `times of a program stream that are wrong for a while`() throws {
        let directory = try FaultDirectory()
        try Self.program(directory, "a.vob", Self.h264)
        try Self.program(
            directory, "b.mpg", ["-c:v", "libx264", "-preset", "superfast", "-bf", "2", "-g", "20", "-f", "vob"])
        let bases = [try directory.read("a.vob"), try directory.read("b.mpg")]
        for seed in 5000..<5000 + UInt64(LongRun.count(of: 100) ?? 10) {
            var random = SeededNumbers(state: seed)
            let kind = Int(seed) % 5
            let base = kind == 4 ? 0 : Int.random(in: 0...1, using: &random)
            let place = Int.random(in: 12..<180, using: &random)
            let step = Int64.random(in: 9_000...800_000, using: &random)
            let wild = Int64.random(in: 1_000_000...4_000_000_000, using: &random)
            let gap = Int64.random(in: 20...600, using: &random) * 9000
            let bytes = ProgramStream.retime(bases[base]) { number, time in
                switch kind {
                case 0: number == place ? max(0, time - step) : time
                case 1: number == place ? time + wild : time
                case 2: time + wild
                case 3: number % 10 == 5 ? time - 9000 : time
                default: number >= place ? time + gap : time
                }
            }
            let path = try directory.write("case.mpg", bytes)
            let seconds = 20 + (kind == 4 ? Int((Double(gap) / 90_000).rounded(.up)) : 0)
            let input =
                "seed \(seed): ps, kind \(kind), base \(base), picture \(place), step \(step), wild \(wild), gap \(gap)"
            let right = (0..<seconds).map { second -> Int in
                guard kind == 4 else { return second * Self.fps }
                let late = second * Self.fps - Int(gap / 9000)
                return late >= place ? late : min(second * Self.fps, place - 1)
            }
            expect(
                try decode(path), right, spare: kind == 4 ? 1 : 0, excused: kind < 4 ? 2 : 0, input)
        }
    }

    /// The clock passes 2^33 in the middle, or is set to near 0: pictures follow one another either way.
    @Test func `MPEG clocks that wrap or begin again`() throws {
        let directory = try FaultDirectory()
        try Self.program(directory, "a.vob", Self.h264)
        try RealTool.ffmpeg(["-i", directory.file("a.vob"), "-c", "copy", directory.file("a.ts")])
        let bases = [try directory.read("a.vob"), try directory.read("a.ts")]
        for seed in 6000..<6000 + UInt64(LongRun.count(of: 100) ?? 12) {
            var random = SeededNumbers(state: seed)
            let isTransport = seed % 2 == 1
            let kind = Int(seed / 2) % 3
            let place = Int64.random(in: 15..<185, using: &random)
            let later = Int64.random(in: 3600 * 90_000..<1 << 33, using: &random)
            let small = Int64.random(in: 0...90_000, using: &random)
            var first: Int64?
            let change = { (number: Int, time: Int64) -> Int64 in
                let start = first ?? time
                first = start
                let own = time - start
                switch kind {
                case 0: return (1 << 33) - place * 9000 + own
                case 1: return number < Int(place) ? later + own : own - place * 9000 + small
                // Begins again where it would have wrapped: both at once.
                default: return number < Int(place) ? (1 << 33) - 90_000_000 + own : own - place * 9000 + small
                }
            }
            let bytes =
                isTransport
                ? TransportStream.retime(bases[1], change) : ProgramStream.retime(bases[0], change)
            let path = try directory.write(isTransport ? "case.ts" : "case.mpg", bytes)
            let outcome = try decode(path)
            let input = "seed \(seed): kind \(kind), picture \(place), later \(later), small \(small)"
            expect(outcome, (0..<20).map { $0 * Self.fps }, spare: 0, input)
            #expect(outcome.result.counters.discontinuities == (kind == 0 ? 0 : 1), "\(input)")
            #expect(outcome.notes.contains("discontinuity") == (kind != 0), "\(input)")
        }
    }

    /// AVI, Ogg and ASF that a multiplexer wrote, chained Ogg, AVI with B-frames: ffprobe says the right times.
    @Test func `pauses and late starts in AVI, Ogg and ASF`() throws {
        let directory = try FaultDirectory()
        let plain = ["-pix_fmt", "yuv420p", "-g", "20"]
        for (name, codec) in [
            ("a.avi", ["-c:v", "mpeg4", "-q:v", "3"]), ("b.avi", ["-c:v", "mpeg4", "-q:v", "3", "-bf", "2"]),
            ("a.ogv", ["-c:v", "libtheora", "-q:v", "8"]), ("a.asf", ["-c:v", "msmpeg4", "-q:v", "3"]),
        ] {
            try NumberedImages.encode(
                0..<100, width: 64, height: 48, options: plain + codec, to: directory.file(name))
        }
        let bases = ["a.avi", "b.avi", "a.ogv", "a.asf"]
        for seed in 7000..<7000 + UInt64(LongRun.count(of: 160) ?? 16) {
            var random = SeededNumbers(state: seed)
            let base = bases[Int(seed) % bases.count]
            let path = directory.file("case." + base.suffix(3))
            let place = Int.random(in: 12..<90, using: &random)
            let gap = Double(Int.random(in: 20...400, using: &random)) / 10
            let offset = base.hasSuffix("avi") ? 0 : Int.random(in: 0...30, using: &random)
            let moved = "gte(N\\,\(place))*\(gap)/TB"
            try RealTool.ffmpeg([
                "-i", directory.file(base), "-c", "copy", "-bsf:v", "setts=pts=PTS+\(moved):dts=DTS+\(moved)",
                "-output_ts_offset", "\(offset)", path,
            ])
            let times = try probed(path)
            let input = "seed \(seed): \(base), pause of \(gap) s at picture \(place), offset \(offset)"
            guard times.count == 100, let first = times.first, let last = times.last else {
                Issue.record("\(input): ffprobe has \(times.count) times")
                continue
            }
            let seconds = Int((last - first + 0.1).rounded(.up))
            let right = (0..<seconds).map { second in
                (times.lastIndex { $0 - first <= Double(second) + 0.001 }) ?? 0
            }
            let outcome = try decode(path)
            expect(outcome, right, spare: 1, input)
            #expect(outcome.result.status == .complete, "\(input): \(outcome.result.notes)")
        }
    }

    @Test(arguments: 0..<6) func `an Ogg of several chained ones`(seed: Int) throws {
        var random = SeededNumbers(state: UInt64(8000 + seed))
        let directory = try FaultDirectory()
        var (bytes, numbers): ([UInt8], [Int]) = ([], [])
        for link in 0..<Int.random(in: 2...4, using: &random) {
            let count = 10 * Int.random(in: 2...6, using: &random)
            let large = Bool.random(using: &random)
            try NumberedImages.encode(
                numbers.count..<numbers.count + count, width: large ? 128 : 64, height: large ? 96 : 48,
                options: [
                    "-c:v", "libtheora", "-q:v", "\(Int.random(in: 4...9, using: &random))", "-pix_fmt", "yuv420p",
                    "-serial_offset", "\(100 * link)",
                ], to: directory.file("link.ogv"))
            numbers += numbers.count..<numbers.count + count
            bytes += try directory.read("link.ogv")
        }
        let outcome = try decode(try directory.write("chain.ogv", bytes))
        expect(
            outcome, stride(from: 0, to: numbers.count, by: 10).map { $0 }, spare: 0, "seed \(seed), \(numbers.count)")
        #expect(!outcome.notes.contains("damaged"), "\(outcome.result.notes)")
        #expect(outcome.notes.contains("discontinuity"))
    }

    /// Presentation times in the payloads of an ASF are rewritten: the right ones are those before.
    @Test func `stamps of an ASF that are wrong for a while`() throws {
        let directory = try FaultDirectory()
        try NumberedImages.encode(
            0..<200, width: 64, height: 48,
            options: ["-c:v", "msmpeg4", "-q:v", "3", "-pix_fmt", "yuv420p", "-g", "20"],
            to: directory.file("a.asf"))
        let base = try directory.read("a.asf")
        let listed = try RealTool.ffprobe([
            "-select_streams", "v", "-show_entries", "packet=size", "-of", "csv=p=0", directory.file("a.asf"),
        ])
        let sizes = listed.split(whereSeparator: { $0.isNewline || $0 == "," }).compactMap { Int($0) }
        #expect(sizes.count == 200)
        func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        for seed in 9000..<9000 + UInt64(LongRun.count(of: 80) ?? 8) {
            var random = SeededNumbers(state: seed)
            let kind = Int(seed) % 4
            let place = Int.random(in: 12..<180, using: &random)
            let step = Int.random(in: 100...9900, using: &random)
            let wild = Int.random(in: 20_000...2_000_000_000, using: &random)
            var bytes = base
            for number in sizes.indices {
                let time = number * 100
                let new =
                    switch kind {
                    case 0: number == place ? max(0, time - step) : time
                    case 1: number == place ? time + wild : time
                    case 2: number % 10 == 5 ? time - 100 : time
                    default: (place..<place + 3).contains(number) ? time + wild : time
                    }
                // Replicated data of 8 bytes: the picture's size and its time with the preroll.
                let found = base.positions(of: [8] + word(sizes[number]) + word(time + 3100))
                #expect(!found.isEmpty, "picture \(number)")
                for position in found where new != time { bytes.put(word(new + 3100), at: position + 5) }
            }
            expect(
                try decode(try directory.write("case.asf", bytes)), (0..<20).map { $0 * Self.fps }, spare: 0,
                excused: 2,
                "seed \(seed): asf, kind \(kind), picture \(place), step \(step), wild \(wild)")
        }
    }

    private func probed(_ path: String) throws -> [Double] {
        try RealTool.ffprobe([
            "-select_streams", "v:0", "-show_entries", "packet=pts_time,dts_time", "-of", "csv=p=0", path,
        ]).split(whereSeparator: \.isNewline).compactMap { line in
            line.split(separator: ",").lazy.compactMap { Double($0) }.first
        }.sorted()
    }
}
