internal import Checkpoints
internal import Models

/// The attention over frames while an answer was generated.
struct AttentionSummary {
    /// Per frame, the attention of the last head group, which locates what the answer names.
    let located: [Double]
    /// Per frame, the attention of all head groups together.
    let total: [Double]
    /// Share of attention that was on frames, 0 to 1; nil for a model without evidence heads.
    let share: Double?

    /// The head groups to record: each trained evidence head alone, else all heads of the upper half of the layers.
    static func groups(_ config: EvidenceConfig?, language: LanguageConfig) -> [[AttentionHead]] {
        if let config { return config.heads.map { [$0] } }
        return [
            (language.layerCount / 2..<language.layerCount).flatMap { layer in
                (0..<language.headCount).map { AttentionHead(layer: layer, head: $0) }
            }
        ]
    }

    init(_ recorder: AttentionRecorder, trained: Bool) {
        guard trained, let last = recorder.frames.last, let rows = recorder.rows.last else {
            located = recorder.frames.first.map(Self.withoutSink) ?? []
            total = located
            share = nil
            return
        }
        located = last
        total = last.indices.map { frame in recorder.frames.reduce(0) { $0 + $1[frame] } }
        // Rows are weighted by their own share, so that tokens unrelated to the recording do not lower the mean.
        let sum = rows.reduce(0, +)
        share = sum > 0 ? rows.reduce(0) { $0 + $1 * $1 } / sum : 0
    }

    /// Untrained heads spread attention evenly or rest on the text, so only attention above the even spread counts.
    private static func withoutSink(_ frames: [Double]) -> [Double] {
        let even = frames.reduce(0, +) / Double(max(frames.count, 1))
        return frames.map { max(0, $0 - even) }
    }
}
