package import Tensors

/// The frames of a question: from an index, or a still image encoded for it.
package struct FrameSource {
    let recording: Answer.RecordingReference
    /// Grid times of the frames in the range, in seconds, ascending.
    package let times: [Double]
    /// Their frame numbers in the index.
    let frameNumbers: [Int]
    /// Seconds of video per frame; 0 for a still image.
    let frameSeconds: Double
    /// Converts grid times to the file's timeline.
    let clock: RecordingClock
    /// Indices into `times` of the frames whose patches are never evicted.
    let sample: [Int]
    /// Indices into `times` of the frames whose patches can be read; nil: all.
    let readable: [Int]?
    /// Creation time of the index, part of the prefix cache's key.
    let indexCreated: String
    /// Writes frame i's patches [R, D] f32; throws if the frame has none.
    package let patches: (Int, MatrixView) throws -> Void
    /// Writes frame i's vision token rows [C2, H] f32.
    package let tokens: (Int, MatrixView) throws -> Void
    let notes: [String]
    /// The note of an answer about no frame: at which times the recording has frames.
    let emptyNote: String?

    /// A source with these frames; `times` and `frameNumbers` have the same count.
    init(
        recording: Answer.RecordingReference, times: [Double], frameNumbers: [Int], frameSeconds: Double,
        clock: RecordingClock = RecordingClock(), sample: [Int] = [], readable: [Int]? = nil,
        indexCreated: String = "", patches: @escaping (Int, MatrixView) throws -> Void,
        tokens: @escaping (Int, MatrixView) throws -> Void, notes: [String] = [], emptyNote: String? = nil
    ) {
        self.recording = recording
        self.times = times
        self.frameNumbers = frameNumbers
        self.frameSeconds = frameSeconds
        self.clock = clock
        self.sample = sample
        self.readable = readable
        self.indexCreated = indexCreated
        self.patches = patches
        self.tokens = tokens
        self.notes = notes
        self.emptyNote = emptyNote
    }

    /// The same frames with another way to read their patches.
    package func readingPatches(_ patches: @escaping (Int, MatrixView) throws -> Void) -> FrameSource {
        FrameSource(
            recording: recording, times: times, frameNumbers: frameNumbers, frameSeconds: frameSeconds, clock: clock,
            sample: sample, readable: readable, indexCreated: indexCreated, patches: patches, tokens: tokens,
            notes: notes, emptyNote: emptyNote)
    }

    /// Indices of the frames that the text is fused with in the first pass.
    ///
    /// A long range uses the sample whose patches are never evicted, if the range has enough of them: the answer then
    /// does not change when other frames' patches are evicted.
    func fusionFrames(_ mode: FusionMode, limit: Int) -> [Int] {
        let count = times.count
        guard mode == .automatic else { return Array(0..<count) }
        if count > limit, sample.count >= limit {
            return FusionPlan.frames(count: sample.count, limit: limit).map { sample[$0] }
        }
        guard let readable else { return FusionPlan.frames(count: count, limit: limit) }
        // If no frame has patches, reading the first one throws the error that says so.
        guard !readable.isEmpty else { return FusionPlan.frames(count: count, limit: limit) }
        return FusionPlan.frames(count: readable.count, limit: limit).map { readable[$0] }
    }
}
