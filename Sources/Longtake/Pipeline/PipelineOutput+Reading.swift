internal import Yams

extension PipelineOutput {
    /// The outputs of a pipeline, checked: `output`, then `outputs`.
    static func read(_ keys: PipelineKeys, resolve: (String) -> String) throws -> [PipelineOutput] {
        var outputs: [PipelineOutput] = []
        func add(_ path: String, _ format: Format, _ node: Node?, margin: Double? = nil) throws {
            let template: PathTemplate
            do { template = try PathTemplate(resolve(path)) } catch { throw keys.bad(Failure(error).message, node) }
            if format.isOfRecording, !template.isPerRecording {
                throw keys.bad(
                    "\(format.rawValue) has one \(format == .clips ? "folder" : "file") per recording: use {name}, {folder} or {id} in its path",
                    node)
            }
            guard !outputs.contains(where: { $0.path == template }) else {
                throw keys.bad("two outputs have the path \(path)", node)
            }
            outputs.append(
                PipelineOutput(format: format, path: template, margin: margin ?? ClipExport.defaultMargin))
        }
        if let path = try keys.string("output") {
            let format = Self.format(of: path)
            // Before there were other formats, every name was a file of JSON lines.
            try add(path, format.map { $0.isDocument ? .jsonl : $0 } ?? .jsonl, keys.mapping["output"])
        }
        guard let list = keys.mapping["outputs"] else { return outputs }
        guard let sequence = list.sequence else { throw keys.bad("`outputs` must be a list", list) }
        for node in sequence {
            if let path = node.string {
                guard let format = Self.format(of: path) else {
                    let known = PipelineKeys.list(Format.allCases.map(\.rawValue))
                    throw keys.bad(
                        "the suffix of \(path) names no format; use \(known), or a mapping with `path` and `format`",
                        node)
                }
                try add(path, format, node)
                continue
            }
            guard let mapping = node.mapping else {
                throw keys.bad("an output must be a path, or a mapping with `path` and `format`", node)
            }
            let own = PipelineKeys(path: keys.path, mapping: mapping, where: "in an output")
            try own.allow(["path", "format", "margin"])
            guard let path = try own.string("path") else { throw keys.bad("an output: `path` is missing", node) }
            guard let format = try own.choice("format", Format.self) ?? Self.format(of: path) else {
                throw keys.bad("an output: `format` is missing, and the suffix of \(path) names none", node)
            }
            let margin = try own.duration("margin")
            if let margin, format != .clips || margin > ClipExport.maxMargin {
                throw keys.bad("`margin` is for clips only, and at most 1h", mapping["margin"])
            }
            try add(path, format, node, margin: margin)
        }
        return outputs
    }
}
