import Foundation
import Testing

/// The outputs of the shipped pipelines about recordings of the bundled model's world: each has the same answers as the
/// catalog, read with what people use for its format.
@Suite struct ShippedOutputTests {
    private func prepare() throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["LONGTAKE_MODEL"] = BundledModelTests.repository + "/Models/nano"
        try FileManager.default.copyItem(atPath: PipelineTests.shipped.path, toPath: tool.path("pipelines"))
        for folder in ["recordings", "lectures", "archive"] {
            try FileManager.default.createDirectory(atPath: tool.path(folder), withIntermediateDirectories: true)
            for recording in try BundledModelTests.recordings.get() {
                let path = tool.path("\(folder)/\(recording.file)")
                try FileManager.default.copyItem(atPath: BundledModelTests.folder + recording.file, toPath: path)
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -200_000)], ofItemAtPath: path)
            }
        }
        return tool
    }

    /// Evidence as pairs of seconds.
    private func evidence(_ answer: [String: Any]) -> [[Double]] {
        (answer["evidence"] as? [[String: Any]] ?? []).compactMap { one in
            guard let start = one["start"] as? Double, let end = one["end"] as? Double else { return nil }
            return [start, end]
        }
    }

    private func name(_ answer: [String: Any]) -> String {
        let path = (answer["recording"] as? [String: Any])?["path"] as? String ?? ""
        return ((path as NSString).lastPathComponent as NSString).deletingPathExtension
    }

    private func text(_ object: Any) throws -> String {
        String(decoding: try JSONSerialization.data(withJSONObject: object, options: .sortedKeys), as: UTF8.self)
    }

    @Test(arguments: ["nightly", "ask-folder", "surveillance", "lecture-notes", "archive", "evaluate"])
    func `all outputs have the same answers`(pipeline: String) throws {
        let tool = try prepare()
        defer { tool.remove() }
        let result = try tool.run("run", "pipelines/\(pipeline).yaml", "--json")
        #expect(result.status == 0, "\(result.errors)")
        let answers = try tool.run("runs", "answers").lines()
        let keys = answers.compactMap { $0["key"] as? String }
        #expect(Set(keys).count == answers.count && answers.count >= 3)
        #expect(Set(answers.map(name)).count == 3)
        let root = tool.path("answers")
        let outputs = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        var kinds: Set<String> = []
        for output in outputs.sorted() {
            let path = root + "/" + output
            let kind = (output as NSString).pathExtension
            let stem = ((output as NSString).lastPathComponent as NSString).deletingPathExtension
            let own = answers.filter { name($0) == stem }
            kinds.insert(kind)
            switch kind {
            case "jsonl":
                let lines = try Data(contentsOf: URL(filePath: path)).split(separator: UInt8(ascii: "\n")).map {
                    try text(JSONSerialization.jsonObject(with: $0))
                }
                #expect(try lines.sorted() == answers.map(text).sorted(), "\(output)")
            case "sqlite":
                let rows = try ReadBackTests.read("sqlite", path)
                let found = rows.compactMap { row in (row["key"] as? String).map { ($0, row) } }
                #expect(found.count == rows.count && Set(found.map(\.0)) == Set(keys))
                for (key, row) in found {
                    let answer = try #require(answers.first { $0["key"] as? String == key })
                    #expect(row["answer"] as? String == answer["answer"] as? String)
                    #expect(row["question_id"] as? String == answer["question_id"] as? String)
                    #expect(row["evidence_start"] as? Double == evidence(answer).first?.first)
                }
            case "csv":
                let rows = try ReadBackTests.read("csv", path)
                for answer in answers {
                    let mine = rows.filter { $0["key"] as? String == answer["key"] as? String }
                    #expect(mine.count == max(1, evidence(answer).count))
                    #expect(mine.allSatisfy { $0["answer"] as? String == answer["answer"] as? String })
                    let starts = mine.compactMap { ($0["start"] as? String).flatMap(Double.init) }
                    let wanted = evidence(answer).map { $0[0] }
                    #expect(starts.isEmpty || wanted.isEmpty || zip(starts, wanted).allSatisfy { abs($0 - $1) < 0.001 })
                }
            case "srt":
                let cues = try ReadBackTests.read("srt", path)
                for answer in own {
                    let said = answer["answer"] as? String ?? ""
                    let times = (answer["segment"] as? [Double]).map { [$0] } ?? evidence(answer)
                    for time in times {
                        #expect(
                            cues.contains { cue in
                                abs((cue["start"] as? Double ?? -1) - time[0]) < 0.002
                                    && (cue["text"] as? String)?.contains(said.prefix(20)) == true
                            }, "\(output): \(time) \(said)")
                    }
                }
            case "chapters":
                let chapters = try String(contentsOfFile: path, encoding: .utf8)
                #expect(chapters.components(separatedBy: "[CHAPTER]").count > own.count { $0["segment"] != nil })
            case "md", "html", "txt":
                let document = try String(contentsOfFile: path, encoding: .utf8)
                #expect(document.contains(own.first.map(name) ?? "test-1001730"))
            case "": break
            default: Issue.record("\(output) is not compared")
            }
        }
        #expect(!kinds.isEmpty)
    }
}
