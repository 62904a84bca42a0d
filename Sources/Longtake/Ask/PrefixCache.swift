internal import Models

/// The state that all questions about the same frames share: the fused prompt up to the image placeholder, and the KV
/// cache over it and the vision tokens.
///
/// Exact: both come before the question, and all attention is causal.
package struct PrefixCache {
    /// When a prefix cache is computed.
    package enum Policy: String, Sendable, CaseIterable {
        /// As `now`, but only if computing it again for each question would take long.
        case auto
        /// At the end of indexing; for any other range, at the first question.
        case now
        /// At the first question.
        case lazy
        /// As `lazy`, but only if computing it again for each question would take long.
        case autoLazy = "auto-lazy"
        /// Never; existing files are not used either.
        case never
    }

    /// Fused sums of the prompt's rows before the image placeholder.
    let head: TextFusion.PrefixSums
    /// Pre-fusion keys and values of the computed fusion frames; nil if there are more than `maxFusedFrames`.
    var fused: PreFusionCache?
    /// Per computed frame, how many consecutive equal fusion frames it stands for.
    let repeats: [Int]
    /// Keys and values of the fused head and the vision tokens; a question appends to it, then truncates it again.
    let cache: KVCache
    /// True if read from disk or reused from an earlier turn.
    var wasKept = false
    var fuseSeconds = 0.0
    var prefillSeconds = 0.0

    /// Most frames whose pre-fusion keys and values are kept: 0.6 GB at full size.
    static let maxFusedFrames = 64
}
