/// How far one tensor is from what the reference computed.
public struct TensorDeviation: Sendable, Codable {
    public let name: String
    /// Largest absolute difference.
    public let absolute: Double
    /// Largest difference relative to the expected tensor's largest magnitude.
    public let relative: Double
    /// Smallest cosine over the rows.
    public let cosine: Double
    public let tolerance: Double
    public let withinTolerance: Bool
}

/// Whether the tokens chosen greedily are the reference's.
public struct GreedyComparison: Sendable, Codable {
    public let name: String
    public let expected: [Int]
    public let found: [Int]
    public let equal: Bool
    /// Whether this comparison decides: in bf16 the ids may differ where two logits nearly tie.
    public let required: Bool
}

/// What `longtake model parity` found in one case folder.
public struct ParityReport: Sendable, Codable {
    public let name: String
    public let precision: String
    public internal(set) var tensors: [TensorDeviation] = []
    public internal(set) var greedy: [GreedyComparison] = []
    public internal(set) var notes: [String] = []

    public var passed: Bool {
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
