/// Whether a question is answered a second time, fused with the frames the first answer attended to most.
public enum FocusMode: Sendable, Equatable {
    /// If the first answer's fusion frames were a sample and one of its tokens was uncertain.
    case automatic
    /// Never.
    case off
    /// Always, with at most this many frames.
    case frames(Int)

    /// Most frames of an automatic second pass: at full size their patches take only seconds to compute.
    package static let defaultFrames = 16

    /// A first answer whose every token is at least this probable gets no automatic second pass.
    package static let certain = 0.9

    /// Most frames of a second pass; nil if no first answer can cause one.
    func frameLimit(after fusion: FusionSummary) -> Int? {
        switch self {
        case .automatic: fusion.frames < fusion.of ? Self.defaultFrames : nil
        case .off: nil
        case .frames(let count): count > 0 ? count : nil
        }
    }

    /// True if the first answer is certain enough to skip an automatic second pass.
    func isSatisfied(certainty: Double?) -> Bool { self == .automatic && certainty ?? 0 >= Self.certain }
}

/// The first of two answers, and what the second pass changed.
package struct FocusSummary: Sendable, Codable, Equatable {
    /// A part of an answer that a second pass can change.
    package enum Change: String, Sendable, Codable {
        case answer, evidence, found
    }

    /// Index frame numbers that the second answer was fused with.
    package let frames: [Int]
    /// The first answer's text.
    package let answer: String
    /// The first answer's token IDs.
    package let tokenIDs: [Int32]
    /// Whether the first answer was found.
    package let found: Bool
    /// The first answer's evidence.
    package let evidence: [Evidence]
    /// The first answer's certainty, 0 to 1.
    package let certainty: Double?
    /// The frames the first answer was fused with.
    package let fusion: FusionSummary
    /// What differs from the first answer.
    package let changed: [Change]

    private enum CodingKeys: String, CodingKey {
        case frames, answer, found, evidence, certainty, fusion, changed
        case tokenIDs = "token_ids"
    }
}
