internal import Glibc

// Letters: V vocabulary.

/// Chooses tokens from logits; the same seed and logits give the same tokens.
public struct Sampler {
    private let options: GenerationOptions
    private var generator: SplitMix64

    /// Starts a sampler with the options' seed.
    public init(_ options: GenerationOptions) {
        self.options = options
        generator = SplitMix64(state: options.seed)
    }

    /// The probability of the most probable token at temperature 1; 0 for no logits.
    ///
    /// - Parameter allowed: the tokens to choose among, one bit for each ID; nil: all.
    public static func certainty(_ logits: UnsafeBufferPointer<Float>, allowed: [UInt64]? = nil) -> Double {
        if let allowed {
            guard let best = best(of: logits, allowed: allowed) else { return 0 }
            let top = logits[best]
            return 1 / ids(of: logits, in: allowed).reduce(0) { $0 + exp(Double(logits[$1] - top)) }
        }
        guard let top = logits.max() else { return 0 }
        return 1 / logits.reduce(0) { $0 + exp(Double($1 - top)) }
    }

    /// The allowed ID with the largest logit, the first of equal ones; nil if none is allowed.
    ///
    /// - Parameter allowed: one bit for each ID.
    public static func best(of logits: UnsafeBufferPointer<Float>, allowed: [UInt64]) -> Int? {
        var best: Int?
        for id in ids(of: logits, in: allowed) where best.map({ logits[id] > logits[$0] }) ?? true { best = id }
        return best
    }

    /// The allowed IDs that have a logit.
    private static func ids(of logits: UnsafeBufferPointer<Float>, in allowed: [UInt64]) -> [Int] {
        var ids: [Int] = []
        for (index, word) in allowed.enumerated() {
            var rest = word
            while rest != 0 {
                let id = index << 6 + rest.trailingZeroBitCount
                if id < logits.count { ids.append(id) }
                rest &= rest - 1
            }
        }
        return ids
    }

    /// Chooses a token ID from `logits` [V].
    ///
    /// - Parameter allowed: the tokens to choose among, one bit for each ID; nil: all.
    /// - Throws: `ModelError.notANumber` if a logit is not finite, `no_token` if no token is allowed.
    public mutating func next(_ logits: UnsafeBufferPointer<Float>, allowed: [UInt64]? = nil) throws -> Int32 {
        var best = 0
        var finite = true
        for index in logits.indices {
            if logits[index] > logits[best] { best = index }
            if !logits[index].isFinite { finite = false }
        }
        guard finite, !logits.isEmpty else { throw ModelError.notANumber }
        if let allowed {
            guard let found = Self.best(of: logits, allowed: allowed) else { throw ModelError.noToken }
            best = found
        }
        guard options.temperature > 0 else { return Int32(best) }

        let top = Double(logits[best])
        let ids = allowed.map { Self.ids(of: logits, in: $0) } ?? Array(logits.indices)
        var candidates = ids.map { (id: $0, mass: exp((Double(logits[$0]) - top) / options.temperature)) }
        candidates.sort { $0.mass != $1.mass ? $0.mass > $1.mass : $0.id < $1.id }
        let total = candidates.reduce(0) { $0 + $1.mass }
        var kept = 0.0
        var length = 0
        for candidate in candidates {
            kept += candidate.mass
            length += 1
            if kept >= options.topP * total { break }
        }
        var point = generator.unit() * kept
        for candidate in candidates[..<length] {
            point -= candidate.mass
            if point <= 0 { return Int32(candidate.id) }
        }
        return Int32(candidates[length - 1].id)
    }
}

/// The SplitMix64 generator (Steele, Lea, Flood 2014): small, and the same on every platform.
package struct SplitMix64 {
    private var state: UInt64

    /// A generator at `state`; the same state gives the same values.
    package init(state: UInt64) { self.state = state }

    /// The next 64 random bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A value in [0, 1).
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
