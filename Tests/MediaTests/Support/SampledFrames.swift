import Foundation
import Media
import Testing

/// All that a stream of frames gave, kept.
struct SampledFrames {
    private(set) var frames: [Frame] = []
    let result: DecodeResult

    init(_ path: String, _ adjust: (inout FrameRequest) -> Void = { _ in }) throws {
        var request = FrameRequest(output: .native)
        adjust(&request)
        let stream = try FrameStream(try RecordingFile(path: path), request: request)
        var frame = Frame()
        while try stream.next(into: &frame) { frames.append(frame) }
        result = stream.result
    }

    /// Expects frame k to be the oracle's frame `picks[k]`: index, times, size and every pixel.
    ///
    /// `times`: as in `EveryFrame.picked`, where the stream's own count breaks off and `pts` is not the stream's.
    func expect(
        _ picks: [Int], of every: EveryFrame, at framesPerSecond: Double, from first: Int = 0, times: [Double]? = nil,
        pixelsWhere compared: (Int) -> Bool = { _ in true }, _ location: SourceLocation = #_sourceLocation
    ) {
        let said = Comment(rawValue: "at \(framesPerSecond) per second")
        #expect(frames.map(\.index) == Array((0..<picks.count).dropFirst(first)), said, sourceLocation: location)
        for (frame, pick) in zip(frames, picks.dropFirst(first)) {
            let shown = every.frames[pick]
            let seconds = times?[pick] ?? Double(shown.pts - every.frames[0].pts) * every.tick
            var wrong: [String] = []
            if times == nil, frame.pts != shown.pts { wrong.append("pts \(frame.pts), not \(shown.pts)") }
            if abs(frame.ptsSeconds - seconds) > 1e-9 { wrong.append("\(frame.ptsSeconds) s, not \(seconds)") }
            if frame.gridTime != Double(frame.index) / framesPerSecond { wrong.append("grid time \(frame.gridTime)") }
            if frame.width != shown.width || frame.height != shown.height {
                wrong.append("\(frame.width)x\(frame.height), not \(shown.width)x\(shown.height)")
            } else if compared(pick) {
                let unequal = every.unequalBytes(pick, frame.rgb)
                if unequal > 0 { wrong.append("\(unequal) of \(shown.bytes) bytes differ") }
            }
            if !wrong.isEmpty {
                // One frame of a recording says it: a broken one would fill the screen.
                Issue.record(
                    "\(said) frame \(frame.index), the oracle's \(pick): \(wrong.joined(separator: "; "))",
                    sourceLocation: location)
                return
            }
        }
    }

    /// Expects the whole recording to have been read, with nothing wrong in it but `joints` of transport streams, where
    /// the packets' running numbers jump.
    func expectWhole(
        _ every: EveryFrame, notes: [String] = [], joints: Int = 0, _ location: SourceLocation = #_sourceLocation
    ) {
        let counters = result.counters
        #expect(result.status == .complete, sourceLocation: location)
        #expect(result.notes.map(\.code).sorted() == notes.sorted(), sourceLocation: location)
        #expect(counters.packets == every.packets, sourceLocation: location)
        #expect(counters.framesDecoded + counters.framesSkipped == every.frames.count, sourceLocation: location)
        #expect(counters.packetErrors == joints, sourceLocation: location)
        #expect(counters.framesCorrupt == 0, sourceLocation: location)
        #expect(counters.framesOutOfOrder == 0, sourceLocation: location)
        #expect(counters.bytesRead > 0, sourceLocation: location)
    }
}
