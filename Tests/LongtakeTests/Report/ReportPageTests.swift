import Foundation
import Longtake
import Testing

extension LongtakeTests {
    /// The size of a report, and what its page says of what is left out.
    @Suite struct ReportPageTests {
        /// A recording of a day that was asked in windows of `seconds`, each with its own answer.
        private static func day(_ number: Int, every seconds: Int, text: String) -> ReportRecording {
            let answers = (0..<86_400 / seconds).map { window in
                let (start, end) = (Double(window * seconds), Double((window + 1) * seconds))
                let evidence = (0..<3).map {
                    Evidence(start: start + Double($0), end: start + Double($0) + 1, score: 0.3, frame: window * 3 + $0)
                }
                return ReportAnswer(
                    AnswerRecord(
                        recording: "vid_\(number)", path: "/rec/\(number).mp4", question: "What?",
                        answer: "\(text) \(window % 7 == 0 ? 0 : window)", evidence: evidence, segment: [start, end],
                        created: "2026-11-29T08:48:48Z", model: "m"))
            }
            let lane = ReportLane(id: "q", question: "What?", kind: .windows, answers: answers)
            return ReportRecording(path: "/rec/\(number).mp4", lanes: [lane], camera: nil, clock: nil)
        }

        private static func embedded(_ page: String) throws -> [String: Any] {
            let json = page.components(separatedBy: "id=\"longtake-data\">")[1].components(separatedBy: "</script>")[0]
            return try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
        }

        @Test(arguments: [(1, 10, 40), (1, 600, 40), (20, 60, 100), (250, 14_400, 3000)])
        func `a page stays small, whatever was asked`(recordings: Int, seconds: Int, length: Int) throws {
            var data = ReportData(kind: .run, title: "night")
            let text = String(repeating: "a", count: length)
            data.recordings = (0..<recordings).map { Self.day($0, every: seconds, text: text) }
            ReportBudget.fit(&data)
            let page = try ReportPage(data).document()
            #expect(page.utf8.count < ReportBudget.bytes, "\(page.utf8.count)")
            let read = try Self.embedded(page)
            let shown = try #require(read["recordings"] as? [[String: Any]])
            let left = try #require(read["recordings_left_out"] as? Int)
            #expect(shown.count + left == recordings && !shown.isEmpty)
            #expect(left == 0 || page.contains("\(left) more recording"))
            for recording in shown {
                let lane = try #require((recording["lanes"] as? [[String: Any]])?.first)
                let answers = try #require(lane["answers"] as? [[String: Any]])
                let missing = try #require(lane["answers_left_out"] as? Int)
                #expect(answers.count + missing == 86_400 / seconds && !answers.isEmpty)
                #expect(missing == 0 || page.contains("\(missing) more answers left out"))
            }
            // Ten-minute windows of a day are all shown.
            if seconds == 600 { #expect(!page.contains("left out")) }
        }

        @Test func `equal windows that follow each other are one row`() throws {
            func answer(_ start: Double, _ text: String, found: Bool = true, score: Double = 0.5) -> ReportAnswer {
                let evidence =
                    found ? [Evidence(start: start + 1, end: start + 2, score: score, frame: Int(start))] : []
                return ReportAnswer(
                    AnswerRecord(
                        recording: "v", path: "/v.mp4", question: "Who?", answer: text, found: found,
                        evidence: evidence,
                        segment: [start, start + 10]))
            }
            let lane = ReportLane(
                id: "who", question: "Who?", kind: .windows,
                answers: [
                    answer(20, "Nobody", score: 0.9), answer(0, "nobody"), answer(10, " nobody"), answer(30, "Ann"),
                    answer(50, "Ann"), answer(60, "not found", found: false),
                ])
            var data = ReportData(kind: .recording, title: "v.mp4")
            data.recordings = [ReportRecording(path: "/v.mp4", lanes: [lane], camera: nil, clock: nil)]
            let page = try ReportPage(data).document()
            let rows = page.components(separatedBy: #"<tr><th scope="row">"#).dropFirst().map { String($0.prefix(17)) }
            #expect(
                rows == ["00:00:00–00:00:30", "00:00:30–00:00:40", "00:00:50–00:01:00", "00:01:00–00:01:10"], "\(rows)")
            #expect(page.contains("nobody</span>: 3 windows") && page.contains("Ann</span>: 2 windows"))
            #expect(page.contains(">90 %<"), "the strongest of three")
        }
    }
}
