import Foundation
import Glibc
import TestSupport
import Testing

import Media

/// Files with seeded random changes: whatever comes of them, it is frames, a `MediaError`, or both in this order.
@Suite(.serialized) struct FaultsFuzzTests {
    private func mutate(_ bytes: [UInt8], _ generator: inout SeededNumbers) -> [UInt8] {
        var bytes = bytes
        // Headers are at the front, and in MP4 at the end as well.
        let region =
            [0..<bytes.count, 0..<min(2000, bytes.count), max(0, bytes.count - 2000)..<bytes.count]
            .randomElement(using: &generator) ?? 0..<bytes.count
        for _ in 0..<Int.random(in: 1...24, using: &generator) {
            let place = Int.random(in: region, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 2: bytes[place] = [0, 0x7F, 0x80, 0xFF].randomElement(using: &generator) ?? 0
            default:
                if place + 4 <= bytes.count {
                    let value =
                        [0, 1, 0x7FFF_FFFF, 0x8000_0000, .max, 0xFFFF_FFF8].randomElement(using: &generator)
                        ?? UInt32(0)
                    bytes.put(bytes32(value), at: place)
                }
            }
        }
        if Int.random(in: 0..<6, using: &generator) == 0 {
            bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator))
        }
        return bytes
    }

    @Test(arguments: ["seed.mp4", "seed.mkv", "seed.ts"])
    func f23AndF26Mutants(name: String) throws {
        let directory = try FaultDirectory()
        try directory.ramp(name, seconds: 3)
        let seed = try directory.read(name)
        var crashes: [Int] = []
        var frames = 0
        for number in 0..<(LongRun.count(of: 2000) ?? 60) {
            var generator = SeededNumbers(state: UInt64(number) &* 1_000_003 &+ UInt64(name.utf8.count))
            let path = try directory.write("mutant-" + name, mutate(seed, &generator))
            // A few bytes may promise hours of pictures; a mutant has no right to them.
            let outcome = try decode(path, keep: 5) {
                $0.maxFrames = 200
                $0.maxPixels = 1 << 22
                $0.memoryLimit = 1 << 30
            }
            frames += outcome.frames.count
            if outcome.error?.code == .decoderCrashed || outcome.notes.contains("decoder_crashed") {
                crashes.append(number)
            }
            #expect(
                outcome.error?.code != .decoderStuck && !outcome.notes.contains("decoder_stuck"), "mutant \(number)")
            #expect(outcome.error != nil || !outcome.frames.isEmpty, "mutant \(number)")
            #expect(outcome.error?.message.isEmpty != true)
        }
        #expect(crashes.isEmpty, "of \(name)")
        #expect(frames > 0)
    }

    @Test(arguments: ["seed.mp4", "seed.mkv", "seed.ts"])
    func cutAnywhere(name: String) throws {
        let directory = try FaultDirectory()
        try directory.ramp(name, seconds: 3)
        let seed = try directory.read(name)
        for part in 1..<12 {
            let outcome = try decode(try directory.write("cut-" + name, Array(seed.prefix(seed.count * part / 12))))
            #expect(outcome.error?.code != .decoderCrashed, "\(part)/12")
            #expect(outcome.error != nil || (1...3).contains(outcome.frames.count), "\(part)/12")
        }
    }
}
