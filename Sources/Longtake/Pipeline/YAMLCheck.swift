internal import CYaml

/// Rejects YAML that a pipeline does not need, event by event, before any nodes are built.
///
/// An alias stands for a whole node: ten levels of ten aliases are 10¹⁰ nodes once hashed, and Yams hashes every key.
/// So aliases, anchors, tags, keys that are not text and deep nesting are errors.
enum YAMLCheck {
    /// Most levels of lists and mappings; a pipeline needs 4.
    static let maxDepth = 16
    static let maxNodes = 100_000

    struct Fault {
        /// Line number, from 1.
        let line: Int
        let reason: String
    }

    /// The first rejected construct in `text`; nil if all are accepted, or if Yams will report a syntax error.
    static func fault(in text: String) -> Fault? {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            var parser = yaml_parser_t()
            guard yaml_parser_initialize(&parser) == 1 else { return nil }
            defer { yaml_parser_delete(&parser) }
            yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
            yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
            var walk = Walk()
            while true {
                var event = yaml_event_t()
                guard yaml_parser_parse(&parser, &event) == 1 else { return nil }
                defer { yaml_event_delete(&event) }
                if event.type == YAML_STREAM_END_EVENT { return nil }
                if let reason = walk.reason(against: event) {
                    return Fault(line: Int(event.start_mark.line) + 1, reason: reason)
                }
            }
        }
    }

    private struct Walk {
        private enum Level {
            case sequence
            case mapping(isKey: Bool)
        }

        private var levels: [Level] = []
        private var nodes = 0

        /// Why the event is rejected; nil if it is accepted.
        mutating func reason(against event: yaml_event_t) -> String? {
            switch event.type {
            case YAML_ALIAS_EVENT: return "aliases (*name) are not supported; write the value out"
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                return refused(scalar.anchor, scalar.tag) ?? node(isText: true)
            case YAML_SEQUENCE_START_EVENT:
                let start = event.data.sequence_start
                return refused(start.anchor, start.tag) ?? node(isText: false) ?? enter(.sequence)
            case YAML_MAPPING_START_EVENT:
                let start = event.data.mapping_start
                return refused(start.anchor, start.tag) ?? node(isText: false) ?? enter(.mapping(isKey: true))
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
                levels.removeLast()
                return nil
            default: return nil
            }
        }

        private func refused(_ anchor: UnsafeMutablePointer<UInt8>?, _ tag: UnsafeMutablePointer<UInt8>?) -> String? {
            if anchor != nil { return "anchors (&name) are not supported; write the value where it is used" }
            guard let tag else { return nil }
            let name = String(cString: tag).prefix(80)
            return "tags (\(name)) are not supported; leave it out and quote what must be text"
        }

        private mutating func node(isText: Bool) -> String? {
            nodes += 1
            guard nodes <= YAMLCheck.maxNodes else {
                return "more than \(YAMLCheck.maxNodes) values; use several files"
            }
            guard case .mapping(let isKey)? = levels.last else { return nil }
            levels[levels.count - 1] = .mapping(isKey: !isKey)
            return isKey && !isText ? "a key must be text, not a list or a mapping" : nil
        }

        private mutating func enter(_ level: Level) -> String? {
            levels.append(level)
            return levels.count > YAMLCheck.maxDepth
                ? "lists and mappings are nested deeper than \(YAMLCheck.maxDepth) levels" : nil
        }
    }
}
