internal import Yams

/// Reads a mapping by expected type: YAML 1.1 turns `no` into a boolean and `1:30` into a number.
struct PipelineKeys {
    let path: String
    let mapping: Node.Mapping
    /// Where the mapping is, such as "in question 2", for messages.
    let `where`: String

    /// - Throws: `LongtakeError` `bad_pipeline` for the first key that is not in `known`.
    func allow(_ known: [String]) throws {
        for (key, _) in mapping {
            guard let name = key.string, known.contains(name) else {
                let name = key.string ?? "?"
                let hint =
                    Spelling.suggestion(for: name, among: known).map { "did you mean `\($0)`?" }
                    ?? "known keys: \(known.joined(separator: ", "))"
                throw bad("unknown key `\(name)` \(`where`); \(hint)", key)
            }
        }
    }

    func bad(_ problem: String, _ node: Node? = nil) -> LongtakeError { PipelineFile.bad(path, problem, node) }

    func string(_ key: String) throws -> String? {
        guard let node = mapping[key] else { return nil }
        guard let scalar = node.scalar?.string, !scalar.isEmpty else { throw bad("`\(key)` must be text", node) }
        return scalar
    }

    /// One of the named values.
    func choice<Value: RawRepresentable & CaseIterable>(_ key: String, _: Value.Type) throws -> Value?
    where Value.RawValue == String {
        guard let text = try string(key) else { return nil }
        guard let value = Value(rawValue: text) else {
            let known = Value.allCases.map(\.rawValue)
            let hint = Spelling.suggestion(for: text, among: known).map { "; did you mean \($0)?" } ?? ""
            throw bad("`\(key)` must be \(Self.list(known)), not \(text)\(hint)", mapping[key])
        }
        return value
    }

    /// "a, b or c".
    static func list(_ names: [String]) -> String {
        guard let last = names.last, names.count > 1 else { return names.first ?? "" }
        return names.dropLast().joined(separator: ", ") + " or " + last
    }

    func integer(_ key: String, from least: Int = 1) throws -> Int? {
        guard let node = mapping[key] else { return nil }
        guard let value = node.scalar.flatMap({ Int($0.string) }), value >= least else {
            throw bad("`\(key)` must be a whole number, \(least) or more", node)
        }
        return value
    }

    func reuse() throws -> IndexOptions.Reuse? {
        guard let node = mapping["reuse"] else { return nil }
        guard let value = node.scalar.flatMap({ IndexOptions.Reuse($0.string) }), value.isInRange else {
            throw bad("`reuse` must be off, exact, auto or a number from 0 to 255", node)
        }
        return value
    }

    func number(_ key: String, in range: ClosedRange<Double>) throws -> Double? {
        guard let node = mapping[key] else { return nil }
        guard let value = node.scalar.flatMap({ DecimalNumber($0.string)?.value }), range.contains(value) else {
            throw bad("`\(key)` must be a number from \(range.lowerBound) to \(range.upperBound)", node)
        }
        return value
    }

    func boolean(_ key: String) throws -> Bool? {
        guard let node = mapping[key] else { return nil }
        switch node.scalar?.string {
        case "true": return true
        case "false": return false
        default: throw bad("`\(key)` must be true or false", node)
        }
    }

    func duration(_ key: String) throws -> Double? {
        guard let node = mapping[key] else { return nil }
        guard let text = node.scalar?.string, let seconds = TimeText.seconds(text) else {
            throw bad("`\(key)` must be a time such as 90, 10m or \"01:30:00\"", node)
        }
        return seconds
    }

    /// A list of texts; a single text is a list of one.
    func strings(_ key: String) throws -> [String]? {
        guard let node = mapping[key] else { return nil }
        if let text = node.scalar?.string, !text.isEmpty { return [text] }
        let texts = node.sequence?.map { $0.scalar?.string ?? "" }
        guard let texts, !texts.isEmpty, !texts.contains("") else {
            throw bad("`\(key)` must be a list of texts", node)
        }
        return texts
    }
}
