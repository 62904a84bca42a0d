internal import Store

/// Forecasts how long all files of a run will take, from the frames that it has encoded so far.
///
/// A file of unknown length is taken to have as many frames per byte as the files whose frames are known.
package struct BatchForecast {
    private struct File {
        let bytes: Int64
        /// Nil: unknown.
        let frames: Int?
    }

    /// The files that are to be indexed.
    private var left: [InputPath: File] = [:]
    /// Sums of `left`: the frames that are known, and the bytes of the files whose frames are not.
    private var framesLeft = 0
    private var bytesLeft: Int64 = 0
    /// Frames and bytes of the files whose frames are known and that are done.
    private var framesKnown = 0
    private var bytesKnown: Int64 = 0
    /// What this run has encoded, and the time that it took for it.
    private var framesNow = 0
    private var secondsNow = 0.0
    private let secondsPerFrameBefore: Double?

    /// - Parameter secondsPerFrame: of an earlier run, for use until this one has encoded a frame; nil: unknown.
    package init(secondsPerFrame: Double? = nil) { secondsPerFrameBefore = secondsPerFrame }

    /// Adds a file that is to be indexed, or replaces what is known of it.
    ///
    /// - Parameter frames: nil if its length is unknown.
    package mutating func expect(_ path: InputPath, bytes: Int64, frames: Int? = nil) {
        remove(path)
        left[path] = File(bytes: bytes, frames: frames)
        if let frames { framesLeft += frames } else { bytesLeft += bytes }
    }

    /// Sets the number of frames of a file that is to be indexed; nil leaves it as it is.
    package mutating func expect(_ path: InputPath, frames: Int?) {
        guard let frames, let file = left[path] else { return }
        expect(path, bytes: file.bytes, frames: frames)
    }

    /// Counts a file that was indexed before.
    package mutating func know(frames: Int, bytes: Int64) {
        framesKnown += frames
        bytesKnown += bytes
    }

    /// Removes a file that is not to be indexed any more; one that is not expected is ignored.
    package mutating func remove(_ path: InputPath) {
        guard let file = left.removeValue(forKey: path) else { return }
        if let frames = file.frames { framesLeft -= frames } else { bytesLeft -= file.bytes }
    }

    /// Removes a file that is indexed.
    ///
    /// - Parameters:
    ///   - framesNow: those encoded by this run.
    ///   - seconds: the time that was spent on the file, questions included.
    package mutating func finish(_ path: InputPath, frames: Int, framesNow: Int, seconds: Double) {
        if let bytes = left[path]?.bytes { know(frames: frames, bytes: bytes) }
        remove(path)
        guard framesNow > 0 else { return }
        self.framesNow += framesNow
        secondsNow += seconds
    }

    /// Seconds until all files are done while one of them is encoded; nil if unknown.
    ///
    /// - Parameters:
    ///   - path: the file that is being encoded.
    ///   - frames: its encoded frames, of `total`, if that is known; `framesNow` of them in `seconds` by this run.
    package func secondsLeft(
        _ path: InputPath, frames: Int, of total: Int?, framesNow: Int, seconds: Double
    ) -> Double? {
        let now = self.framesNow + framesNow
        guard let each = now > 0 ? (secondsNow + seconds) / Double(now) : secondsPerFrameBefore else { return nil }
        let current = left[path]
        let total = total ?? current?.frames
        var (framesKnown, bytesKnown) = (framesKnown, bytesKnown)
        if let total, let current {
            framesKnown += total
            bytesKnown += current.bytes
        }
        func estimated(_ bytes: Int64) -> Double? {
            guard bytes > 0 else { return 0 }
            return bytesKnown > 0 ? Double(bytes) * Double(framesKnown) / Double(bytesKnown) : nil
        }
        let own = total.map(Double.init) ?? current.flatMap { $0.bytes > 0 ? estimated($0.bytes) : nil }
        let isSized = current != nil && current?.frames == nil
        guard let own, let guessed = estimated(bytesLeft - (isSized ? current?.bytes ?? 0 : 0)) else { return nil }
        let after = Double(framesLeft - (current?.frames ?? 0)) + guessed
        return (max(0, own - Double(frames)) + after) * each
    }
}

extension BatchForecast {
    /// A forecast for files that are taken one after the other.
    ///
    /// - Parameters:
    ///   - known: those that are indexed; the frames of some of them tell those of files that are not.
    ///   - frames: of the files of which that is known.
    init(
        _ files: [InputPath], known: [InputPath: IndexedRecording], frames: [InputPath: Int] = [:],
        secondsPerFrame: Double? = nil
    ) {
        self.init(secondsPerFrame: secondsPerFrame)
        func bytes(_ path: InputPath) -> Int64 { FileFingerprint(path: path.absolute.bytes)?.size ?? 0 }
        for path in files where known[path] == nil { expect(path, bytes: bytes(path), frames: frames[path]) }
        guard bytesLeft > 0 else { return }
        // Enough of them to tell the frames per byte.
        for path in files.lazy.filter({ known[$0] != nil }).prefix(100) {
            if let known = known[path] { know(frames: known.frames, bytes: bytes(path)) }
        }
    }

    /// A step of indexing one of several files, with the time that all of them will take.
    func completed(_ step: IndexProgress, of path: InputPath) -> IndexProgress {
        var step = step
        step.secondsLeftOfAll = secondsLeft(
            path, frames: step.frames, of: step.framesTotal, framesNow: step.framesNow, seconds: step.seconds)
        return step
    }
}
