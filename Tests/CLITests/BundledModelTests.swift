import Foundation
import Testing

/// The model that comes with the repository, asked through the program about recordings of its world.
@Suite struct BundledModelTests {
    struct Recording: Decodable {
        struct Question: Decodable {
            let text: String
            let answer: String
        }

        let file: String
        let questions: [Question]
    }

    static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    static let folder = repository + "/Tests/Fixtures/desk/"
    static let recordings = Result {
        try JSONDecoder().decode([Recording].self, from: Data(contentsOf: URL(filePath: folder + "desk.json")))
    }

    /// H.264, HEVC and VP9, three things each; twelve kinds of questions per recording, in one go.
    @Test func `the bundled model knows its world`() throws {
        for recording in try Self.recordings.get() {
            let tool = try Tool()
            defer { tool.remove() }
            let asked = recording.questions.map(\.text)
            let result = try tool.run(
                ["ask", Self.folder + recording.file] + asked + [
                    "--model", Self.repository + "/Models/nano", "--max-tokens", "64", "--json",
                ])
            #expect(result.status == 0, "\(result.errors)")
            let answers = try result.lines().map { $0["answer"] as? String ?? "" }
            #expect(answers == recording.questions.map(\.answer), "\(recording.file)")
        }
    }

    @Test func `a first answer that is certain is not looked at again`() throws {
        let recording = try #require(try Self.recordings.get().first)
        let tool = try Tool()
        defer { tool.remove() }
        func ask(_ options: [String]) throws -> [[String: Any]] {
            let result = try tool.run(
                ["ask", Self.folder + recording.file] + recording.questions.map(\.text) + [
                    "--model", Self.repository + "/Models/nano", "--fusion-frames", "4", "--json",
                ] + options)
            try #require(result.status == 0, "\(result.errors)")
            return try result.lines()
        }
        let answers = try ask([])
        for answer in answers {
            let first = answer["focus"] as? [String: Any]
            let certainty = try #require((first ?? answer)["certainty"] as? Double)
            #expect((first == nil) == (certainty >= 0.9), "\(answer)")
        }
        #expect(answers.contains { $0["focus"] == nil })
        // Who asks for a second look gets it.
        #expect(try ask(["--focus", "2"]).allSatisfy { $0["focus"] != nil })
    }
}
