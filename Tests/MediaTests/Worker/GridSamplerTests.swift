import Media
import Testing

/// Sampled frames are those of decoding every frame and picking by the rule, pixel for pixel.
@Suite struct GridSamplerTests {
    @Test(arguments: EncodedRecording.h264) func h264(_ recording: EncodedRecording) throws { try check(recording) }

    @Test(arguments: EncodedRecording.others) func others(_ recording: EncodedRecording) throws { try check(recording) }

    private func check(_ recording: EncodedRecording) throws {
        let directory = try DecodeDirectory()
        let path = try recording.make(in: directory)
        let every = try EveryFrame(decoding: path, in: directory)
        // Otherwise a neighbour could stand for the frame unseen.
        #expect(every.frames.indices.allSatisfy(every.differsFromNext))
        for framesPerSecond in [0.5, 1, 30] {
            let sampled = try SampledFrames(path) { $0.framesPerSecond = framesPerSecond }
            let picks = every.picked(at: framesPerSecond)
            sampled.expect(picks, of: every, at: framesPerSecond)
            sampled.expectWhole(every, notes: recording.notes)
            let counters = sampled.result.counters
            #expect(counters.framesSampled == picks.count)
            #expect(counters.framesRepeated == picks.count - Set(picks).count)
        }
    }
}
