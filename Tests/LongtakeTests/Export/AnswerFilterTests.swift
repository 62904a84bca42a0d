import Foundation
import Longtake
import Testing

extension LongtakeTests {
    /// Which answers `export` writes.
    @Suite struct AnswerFilterTests {
        private static func record(
            _ question: String, _ answer: String, model: String = "nano", day: Int, segment: [Double]? = nil,
            range: [Double]? = [0, 9], id: String? = nil
        ) -> AnswerRecord {
            var record = AnswerRecord(
                recording: "vid_0", path: "/rec/a", question: question, answer: answer, segment: segment,
                created: "2026-01-0\(day)T00:00:00Z", model: model)
            (record.range, record.questionID) = (range, id)
            return record
        }

        /// The first two are one question's; so are the last two, whose order is not that of time.
        private static let records = [
            record("Who?", "a", day: 1), record(" who? ", "b", day: 2), record("Who?", "c", model: "big", day: 3),
            record("Who?", "d", day: 1, segment: [0, 5]), record("Who?", "e", day: 1, segment: [5, 9]),
            record("Who?", "f", day: 1, range: [3, 4]), record("Where?", "g", day: 4, id: "place"),
            record("Where?", "h", day: 3, id: "place"),
        ]

        private static func answers(_ change: (inout AnswerFilter) -> Void) throws -> String {
            var filter = AnswerFilter()
            change(&filter)
            return try filter.apply(to: records).map(\.answer).joined()
        }

        @Test func eachQuestionsLatestAnswerOnce() throws {
            #expect(try Self.answers { _ in } == "bcdefg")
            #expect(try Self.answers { $0.latest = false } == "abcdefgh")
        }

        @Test func byQuestionModelAndTime() throws {
            #expect(try Self.answers { $0.questions = ["WHO? "] } == "bcdef")
            #expect(try Self.answers { $0.questions = ["place"] } == "g")
            #expect(try Self.answers { $0.questions = ["place", "Who?"] } == "bcdefg")
            #expect(try Self.answers { $0.model = "big" } == "c")
            let third = AnswerFilter.instant("2026-01-03")
            #expect(third != nil)
            #expect(try Self.answers { $0.since = third } == "cg")
            #expect(try Self.answers { ($0.since, $0.latest) = (third, false) } == "cgh")
        }

        @Test func nothingLeftIsSaid() {
            #expect(code { _ = try Self.answers { $0.questions = ["What?"] } } == "bad_request")
            #expect(code { _ = try Self.answers { $0.model = "none" } } == "bad_request")
            #expect(
                code { _ = try Self.answers { $0.since = AnswerFilter.instant("2026-02-01T00:00:00Z") } }
                    == "bad_request")
        }

        @Test(arguments: [
            ("2026-01-02", -86_400.0), ("2026-01-02T12:30:00Z", -41_400), ("2026-01-02T12:30:00.5Z", -41_399.5),
            ("2026-01-02T12:30:00+02:00", -48_600), ("2d", -172_800), ("90m", -5400), ("1h30m", -5400),
            ("yesterday", nil),
            ("5", nil), ("", nil), ("-1h", nil), ("1e308d", nil), ("nan", nil), ("2026-13-01", nil), ("inf", nil),
            ("2026-02-30", nil), ("2026-01-02x", nil), ("2026-01-02T25:00:00Z", nil), ("2026", nil), ("20260102", nil),
            ("2026-01-02T12:30", -41_400), ("2026-01-02 12:30:00", -41_400), ("2026-01-02T12:30:00-01:30", -36_000),
        ])
        func instants(text: String, seconds: Double?) {
            // 2026-01-03T00:00:00Z
            let now = Date(timeIntervalSince1970: 1_767_398_400)
            #expect(AnswerFilter.instant(text, now: now)?.timeIntervalSince(now) == seconds)
        }
    }
}
