internal import Foundation
internal import Yams

/// Replaces `${NAME}` and `${NAME:-default}` in the texts of a pipeline, after it was parsed: a value can never add keys.
///
/// A name is looked up in the file's `vars`, then in the environment; `$${` stands for `${`.
struct PipelineVariables {
    let path: String
    private var values: [String: String] = [:]
    private let environment: [String: String]

    /// - Throws: `LongtakeError` `bad_pipeline` for `vars` that is no mapping of names to texts.
    init(path: String, _ root: Node.Mapping, environment: [String: String]) throws {
        self.path = path
        self.environment = environment
        guard let node = root["vars"] else { return }
        guard let mapping = node.mapping else {
            throw PipelineFile.bad(path, "`vars` must be a mapping of names to texts", node)
        }
        for (key, value) in mapping {
            guard let name = key.string, Self.isName(name) else {
                throw PipelineFile.bad(path, "a name in `vars` must consist of letters, digits and _", key)
            }
            guard let text = value.scalar?.string else {
                throw PipelineFile.bad(path, "`\(name)` in `vars` must be text", value)
            }
            // A variable may use those before it.
            values[name] = try replaced(text, value)
        }
    }

    private static func isName(_ name: some StringProtocol) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { Character(Unicode.Scalar($0)).isLetter || (48...57).contains($0) || $0 == 95 }
    }

    /// The node with all its texts replaced; keys stay as they are.
    func replaced(_ node: Node) throws -> Node {
        switch node {
        case .scalar(var scalar):
            guard scalar.string.contains("${") else { return node }
            scalar.string = try replaced(scalar.string, node)
            return .scalar(scalar)
        case .sequence(var sequence):
            for index in sequence.indices { sequence[index] = try replaced(sequence[index]) }
            return .sequence(sequence)
        case .mapping(var mapping):
            for (key, value) in mapping where key.string != "vars" { mapping[key] = try replaced(value) }
            return .mapping(mapping)
        case .alias: return node
        }
    }

    private func replaced(_ text: String, _ node: Node) throws -> String {
        var (result, rest) = ("", Substring(text))
        while let start = rest.range(of: "${") {
            let before = rest[..<start.lowerBound]
            if before.hasSuffix("$") {
                result += before.dropLast() + "${"
                rest = rest[start.upperBound...]
                continue
            }
            result += before
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else {
                throw PipelineFile.bad(path, "`${` without `}`; write $${ for the letters themselves", node)
            }
            result += try value(rest[start.upperBound..<end], node)
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    private func value(_ text: Substring, _ node: Node) throws -> String {
        let parts = text.range(of: ":-").map { (text[..<$0.lowerBound], String(text[$0.upperBound...])) }
        let name = String(parts?.0 ?? text)
        guard Self.isName(name) else {
            throw PipelineFile.bad(path, "`${\(text)}` must have a name of letters, digits and _", node)
        }
        if let value = values[name] ?? environment[name], !value.isEmpty || parts == nil { return value }
        if let standard = parts?.1 { return standard }
        throw PipelineFile.bad(
            path, "`${\(name)}` is not set; set it in `vars` or in the environment, or write ${\(name):-default}", node)
    }
}
