/// The difference between a tensor and the reference's.
package struct TensorDeviation: Sendable, Codable {
    /// The tensor's name in expected.safetensors.
    package let name: String
    /// Largest absolute difference.
    package let absolute: Double
    /// Largest absolute difference divided by the expected tensor's largest magnitude.
    package let relative: Double
    /// Smallest cosine of a row with the expected one.
    package let cosine: Double
    /// f32: the largest absolute difference allowed; bf16: the smallest cosine allowed, 0 if not limited.
    ///
    /// 0 for image bytes, which must be equal in both precisions.
    package let tolerance: Double
    /// True if the difference is within `tolerance`, or not limited.
    package let withinTolerance: Bool
}

/// Compares token IDs, positions or text with the reference's.
package struct GreedyComparison: Sendable, Codable {
    /// The name in the golden case.
    package let name: String
    /// The reference's IDs.
    package let expected: [Int]
    /// The program's IDs.
    package let found: [Int]
    /// True if both are the same.
    package let equal: Bool
    /// Whether a difference fails the case: in bf16, greedy IDs may differ where two logits are nearly equal.
    package let required: Bool
}

/// The result of one case folder: what `longtake model parity` prints.
package struct ParityReport: Sendable, Codable {
    /// Name of the case folder.
    package let name: String
    /// "f32" or "bf16".
    package let precision: String
    /// The compared tensors.
    package internal(set) var tensors: [TensorDeviation] = []
    /// The compared IDs.
    package internal(set) var greedy: [GreedyComparison] = []
    /// Remarks, e.g. that sequences are truncated.
    package internal(set) var notes: [String] = []

    /// True if something was compared and everything required agrees.
    package var passed: Bool {
        !(tensors.isEmpty && greedy.isEmpty) && tensors.allSatisfy(\.withinTolerance)
            && greedy.allSatisfy { $0.equal || !$0.required }
    }

    private enum CodingKeys: String, CodingKey {
        case name, precision, tensors, greedy, notes
    }

    init(name: String, precision: String) {
        self.name = name
        self.precision = precision
    }
}
