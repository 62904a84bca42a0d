internal import Yams

extension PipelineFile {
    /// The keys at the top of a pipeline that `clock` reads.
    static let clockKeys = ["clock", "timezone", "since", "until", "camera"]

    /// Reads what a pipeline says about when and where its recordings were made, and which of them it asks about.
    ///
    /// - Throws: `LongtakeError` `bad_pipeline` with the line of the value.
    static func clock(
        in root: Node.Mapping, _ path: String
    ) throws -> (settings: ClockSettings, selection: PipelineSelection) {
        func text(_ key: String) throws -> String? {
            guard let node = root[key] else { return nil }
            guard let text = node.scalar?.string, !text.isEmpty else { throw bad(path, "`\(key)` must be text", node) }
            return text
        }
        func read<Value>(_ key: String, _ body: (String) throws -> Value) throws -> Value? {
            do {
                return try text(key).map(body)
            } catch let error as LongtakeError where error.code == .badRequest {
                throw bad(path, "`\(key)`: \(error.message)", root[key])
            }
        }
        var settings = ClockSettings()
        settings.pattern = try read("clock") { try ClockPattern($0) }
        settings.zone = try read("timezone") { try ClockZone($0) }
        var cameras: [String] = []
        if let node = root["camera"] {
            let names = node.sequence.map { $0.map(\.scalar?.string) } ?? [node.scalar?.string]
            cameras = names.compactMap(\.self).filter { !$0.isEmpty }
            guard cameras.count == names.count else {
                throw bad(path, "`camera` must be a camera's name or a list of names", node)
            }
        }
        let since = try read("since") {
            try RecordingSelection(since: $0, until: nil, cameras: [], zone: settings.zone)
        }
        let until = try read("until") {
            try RecordingSelection(since: nil, until: $0, cameras: [], zone: settings.zone)
        }
        settings.selection.since = since?.since
        settings.selection.until = until?.until
        settings.selection.cameras = cameras
        if let first = settings.selection.since, let last = settings.selection.until, first >= last {
            throw bad(path, "no time is since `since` and until `until`; swap them", root["since"])
        }
        var selection = PipelineSelection()
        (selection.since, selection.until, selection.cameras) = (try text("since"), try text("until"), cameras)
        return (settings, selection)
    }
}
