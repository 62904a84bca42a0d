/// The frame indices that the reference implementation samples from a video.
public enum ReferenceSampling {
    /// Maximum number of indices in a list: half a year at one per second.
    static let maximumCount = 1 << 24

    /// The reference's frame indices at `sampleRate` per second: the middle of each of N equal intervals.
    ///
    /// N = frameCount // (framesPerSecond / sampleRate), at most `frameCount`. Empty where the reference fails with a
    /// division by zero (clips shorter than one interval), and for rates that are not positive and finite. Source: the
    /// reference's `load_video` and `get_frame_indices`.
    public static func indices(frameCount: Int, framesPerSecond: Double, sampleRate: Double = 1) -> [Int] {
        let step = framesPerSecond / sampleRate
        guard frameCount > 0, step > 0, step.isFinite else { return [] }
        let count = floorDivide(Double(frameCount), by: step)
        guard count >= 1 else { return [] }
        return indices(frameCount: frameCount, count: count >= Double(frameCount) ? frameCount : Int(saturating: count))
    }

    /// The middle frames of `count` equal intervals of the video, ascending, with repeats if the video has too few
    /// frames.
    ///
    /// Empty if `frameCount` or `count` is not positive.
    public static func indices(frameCount: Int, count: Int) -> [Int] {
        guard frameCount > 0, count > 0 else { return [] }
        let count = min(frameCount, count, maximumCount)
        let segment = Double(frameCount - 1) / Double(count)
        // numpy rounds halves to even.
        func edge(_ index: Int) -> Int {
            let position = (segment * Double(index)).rounded(.toNearestOrEven)
            return position >= Double(frameCount) ? frameCount - 1 : Int(saturating: position)
        }
        return (0..<count).map { index in
            let start = edge(index)
            return start + (edge(index + 1) - start) / 2
        }
    }

    /// Python's `//` on floats, which is not always the quotient rounded down.
    private static func floorDivide(_ dividend: Double, by divisor: Double) -> Double {
        let quotient = (dividend - dividend.truncatingRemainder(dividingBy: divisor)) / divisor
        let floor = quotient.rounded(.down)
        return quotient - floor > 0.5 ? floor + 1 : floor
    }
}
