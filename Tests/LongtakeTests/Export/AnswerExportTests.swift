import Foundation
import Longtake
import Testing

extension LongtakeTests {
    /// Answers in the formats that video tools read, read back by those tools where they are there.
    @Suite struct AnswerExportTests {
        private static let records = [
            AnswerRecord(
                recording: "vid_0", path: "/rec/a day.mp4", question: "Who comes\nin?",
                answer: "a \"red\" ring, <b> & more",
                evidence: [
                    Evidence(start: 7, end: 9.5, score: 0.6, frame: 8),
                    Evidence(start: 2, end: 3, score: 0.4, frame: 2),
                ], created: "2026-01-01T00:00:00Z", model: "nano"),
            AnswerRecord(
                recording: "vid_0", path: "/rec/a day.mp4", question: "What is written?", answer: "=nothing",
                found: false,
                model: "nano"),
            AnswerRecord(
                recording: "vid_0", path: "/rec/a day.mp4", question: "Is it open?", answer: "no; not #1", found: false,
                segment: [10, 12], model: "nano"),
        ]

        private static func document(
            _ format: AnswerExport.Format, _ change: (inout AnswerExport) -> Void = { _ in }
        ) throws -> String {
            var export = AnswerExport(format)
            change(&export)
            return try export.document(records, name: "a day.mp4", path: "/rec/a day.mp4", end: 12)
        }

        @Test func jsonLinesAreRecordsAgain() throws {
            let text = try Self.document(.jsonl)
            let again = try text.split(separator: "\n").map {
                try JSONDecoder().decode(AnswerRecord.self, from: Data($0.utf8))
            }
            #expect(again == Self.records)
            let folder = try Folder()
            try text.write(toFile: folder.path + "/a.jsonl", atomically: true, encoding: .utf8)
            #expect(try AnswerRecord.read(folder.path + "/a.jsonl") == Self.records)
            try "{\"message_type\":\"summary\"}\n".write(toFile: folder.path + "/b", atomically: true, encoding: .utf8)
            #expect(code { _ = try AnswerRecord.read(folder.path + "/b") } == "bad_request")
            #expect(code { _ = try AnswerRecord.read(folder.path + "/none") } == "bad_request")
        }

        /// What is not an answer is left out, and what is one and has an impossible value is said.
        @Test(arguments: [
            (#""start":1,"end":2"#, nil as String?), (#""start":NaN,"end":2"#, "line 2"),
            (#""start":1e999,"end":2"#, "line 2"), (#""start":"1","end":2"#, "line 2"), (#""end":2"#, "line 2"),
        ])
        func linesThatAreNoAnswers(times: String, wanted: String?) throws {
            let folder = try Folder()
            let path = folder.path + "/a.jsonl"
            let text = """
                {"message_type":"ranking","question":"What?","recordings":[{"answer":"a"}]}
                {"recording":"vid_0","question":"Q","answer":"a","evidence":[{\(times),"score":1,"frame":0}]}
                {"recording":"vid_0","question":"Q","ans

                {"recording":{"id":"vid_0"},"question":"Q","answer":"b"}
                """
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            do {
                #expect(try AnswerRecord.read(path).map(\.answer) == ["a", "b"] && wanted == nil)
            } catch {
                let wanted = try #require(wanted, "\(error)")
                #expect("\(error)".contains(wanted), "\(error)")
            }
        }

        /// Questions about the same windows, and what begins within a frame or overlaps: one chapter or marker per place.
        @Test(arguments: [AnswerExport.Format.chapters, .edl])
        func noTwoAtOnePlaceAndNoneEmpty(format: AnswerExport.Format) throws {
            func record(_ question: String, _ answer: String, _ start: Double, _ end: Double) -> AnswerRecord {
                AnswerRecord(
                    recording: "vid_0", path: "/rec/a", question: question, answer: answer, segment: [start, end])
            }
            var records = (0..<12).flatMap { hour in
                ["Q1", "Q2"].map { record($0, "a\(hour)", Double(hour) * 3600, Double(hour + 1) * 3600) }
            }
            records += [record("Q3", "x", 10, 10), record("Q4", "y", 10.0001, 10.0002), record("Q5", "z", 9, 8000)]
            let text = try AnswerExport(format).document(records, name: "a", path: "/a", end: 43_200)
            for wanted in (0..<12).map({ "Q1 a\($0) / Q2 a\($0)" }) + ["Q3 x / Q4 y", "Q5 z"] {
                #expect(text.contains(wanted), "\(wanted)")
            }
            func values(_ key: String) -> [Int] {
                text.split(separator: "\n").filter { $0.hasPrefix(key) }.compactMap { Int($0.dropFirst(key.count)) }
            }
            if format == .chapters {
                let (starts, ends) = (values("START="), values("END="))
                #expect(starts.count == 14 && ends.count == 14)
                #expect(zip(starts, ends).allSatisfy { $0 < $1 })
                #expect(zip(ends, starts.dropFirst()).allSatisfy { $0 <= $1 })
            } else {
                let events = text.split(separator: "\n").filter { $0.contains("  001  ") }.map { $0.suffix(23) }
                #expect(events.count == 14 && Set(events).count == 14)
            }
        }

        @Test func answersOfAskAreRead() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let answer = try analyzer.ask(question(maxTokens: 6), about: Shared.video)
            let encoder = JSONEncoder()
            encoder.outputFormatting = .prettyPrinted
            try encoder.encode(answer).write(to: URL(filePath: folder.path + "/one.json"))
            #expect(try AnswerRecord.read(folder.path + "/one.json") == [AnswerRecord(answer)])
            try encoder.encode([answer, answer]).write(to: URL(filePath: folder.path + "/two.json"))
            #expect(try AnswerRecord.read(folder.path + "/two.json").count == 2)
        }

        @Test func csvRowsAreQuoted() throws {
            let rows = try Self.document(.csv).components(separatedBy: "\r\n")
            #expect(
                rows.first
                    == "recording,path,question,answer,found,start,end,score,model,created,start_from_first_frame,end_from_first_frame,camera,start_clock,end_clock"
            )
            #expect(
                rows[1]
                    == "vid_0,/rec/a day.mp4,\"Who comes\nin?\",\"a \"\"red\"\" ring, <b> & more\",true,7,9.5,0.6,nano,2026-01-01T00:00:00Z,7,9.5,,,"
            )
            #expect(rows[3] == "vid_0,/rec/a day.mp4,What is written?,'=nothing,false,,,,nano,,,,,,")
            #expect(rows[4] == "vid_0,/rec/a day.mp4,Is it open?,no; not #1,false,10,12,,nano,,10,12,,,")
            #expect(rows.count == 6 && rows[5].isEmpty)
        }

        @Test func subtitlesAreInTheOrderOfTime() throws {
            let text = try Self.document(.vtt)
            #expect(text.hasPrefix("WEBVTT\n\nNOTE "))
            #expect(
                text.contains("00:00:02.000 --> 00:00:03.000\nWho comes in?\na \"red\" ring, &lt;b&gt; &amp; more\n\n"))
            #expect(text.contains("00:00:07.000 --> 00:00:09.500\n"))
            #expect(text.contains("00:00:10.000 --> 00:00:12.000\nIs it open?\nno; not #1\n"))
            #expect(!text.contains("nothing"), "an answer without a place is no subtitle")
            let srt = try Self.document(.srt)
            #expect(srt.hasPrefix("1\n00:00:02,000 --> 00:00:03,000\nWho comes in?\n"))
            #expect(srt.contains("\n\n3\n00:00:10,000 --> 00:00:12,000\n"))
        }

        /// FFmpeg reads them as what they are.
        @Test(arguments: [AnswerExport.Format.vtt, .srt, .chapters]) func ffmpegReadsThem(format: AnswerExport.Format)
            throws
        {
            let folder = try Folder()
            let file = folder.path + "/out." + (format == .chapters ? "txt" : format.rawValue)
            try Self.document(format).write(toFile: file, atomically: true, encoding: .utf8)
            guard format == .chapters else {
                try ffmpeg(["-i", file, folder.path + "/again.srt"])
                let again = try String(contentsOfFile: folder.path + "/again.srt", encoding: .utf8)
                #expect(again.contains("00:00:07,000 --> 00:00:09,500") && again.contains("ring"))
                return
            }
            try ffmpeg(["-i", Shared.video, "-i", file, "-map_metadata", "1", "-c", "copy", folder.path + "/c.mp4"])
            try ffmpeg(["-i", folder.path + "/c.mp4", "-f", "ffmetadata", folder.path + "/again.txt"])
            let again = try String(contentsOfFile: folder.path + "/again.txt", encoding: .utf8)
            #expect(again.components(separatedBy: "[CHAPTER]").count == 4)
            #expect(again.contains("title=Is it open? no\\; not \\#1"))
        }

        @Test func timelineMarkersAreInTheMediumsTime() throws {
            let text = try Self.document(.otio) { $0.rate = 10 }
            let root = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            #expect(root["OTIO_SCHEMA"] as? String == "Timeline.1")
            func child(_ node: Any?) throws -> [String: Any] {
                try #require(((node as? [String: Any])?["children"] as? [[String: Any]])?.first)
            }
            let clip = try child(child(root["tracks"]))
            #expect((clip["media_reference"] as? [String: Any])?["target_url"] as? String == "file:///rec/a%20day.mp4")
            let markers = try #require(clip["markers"] as? [[String: Any]])
            #expect(markers.count == 3)
            let range = try #require(markers[1]["marked_range"] as? [String: Any])
            #expect((range["start_time"] as? [String: Any])?["value"] as? Double == 70)
            #expect((range["duration"] as? [String: Any])?["value"] as? Double == 25)
        }

        @Test(arguments: [
            ("25", "01:00:02:00 01:00:02:01", "|D:25"), ("29.97", "01:00:02;00 01:00:02;01", "|D:30"),
            ("24", "01:00:02:00 01:00:02:01", "|D:24"), ("23.976", "01:00:02:00 01:00:02:01", "|D:24"),
        ])
        func editListEvents(rate: String, times: String, length: String) throws {
            let wanted = try #require(FrameRate(rate))
            let text = try Self.document(.edl) { $0.rate = wanted }
            #expect(text.hasPrefix("TITLE: a day.mp4\nFCM: \(rate == "29.97" ? "" : "NON-")DROP FRAME\n"))
            #expect(text.contains("001  001      V     C        \(times) \(times)\n"), "\(text)")
            let notes = text.split(separator: "\n").filter { $0.hasPrefix(" |C:") }
            #expect(notes.count == 3)
            #expect(notes[0].hasSuffix(length) && notes[0].components(separatedBy: "|").count == 4, "\(notes[0])")
        }

        /// Labels count at the nominal rate, seconds at the exact one: 29 s and 36,000 s after 01:00:00:00.
        @Test(arguments: [
            ("23.976", ["01:00:00:00", "01:00:28:23", "10:59:24:01"]),
            ("23.98", ["01:00:00:00", "01:00:28:23", "10:59:24:01"]),
            ("24000/1001", ["01:00:00:00", "01:00:28:23", "10:59:24:01"]),
            ("24", ["01:00:00:00", "01:00:29:00", "11:00:00:00"]),
            ("25", ["01:00:00:00", "01:00:29:00", "11:00:00:00"]),
            ("29.97", ["01:00:00;00", "01:00:28;29", "11:00:00;01"]),
            ("30000/1001", ["01:00:00;00", "01:00:28;29", "11:00:00;01"]),
            ("59.94", ["01:00:00;00", "01:00:28;58", "11:00:00;02"]),
            ("60000/1001", ["01:00:00;00", "01:00:28;58", "11:00:00;02"]),
            ("30", ["01:00:00:00", "01:00:29:00", "11:00:00:00"]),
            ("47.952", ["01:00:00:00", "01:00:28:47", "10:59:24:02"]),
        ])
        func timecodesOfExactRates(rate: String, wanted: [String]) throws {
            let rate = try #require(FrameRate(rate))
            let records = [0, 29, 36_000].map { start in
                AnswerRecord(
                    recording: "vid_0", path: "/rec/a", question: "When?", answer: "at \(start)",
                    evidence: [Evidence(start: start, end: start + 1, score: 1, frame: 0)])
            }
            var export = AnswerExport(.edl)
            export.rate = rate
            let text = try export.document(records, name: "a", path: "/rec/a", end: nil)
            let starts = text.split(separator: "\n").filter { $0.contains("  001  ") }.map {
                String($0.split(separator: " ")[4])
            }
            #expect(starts == wanted)
        }

        @Test(arguments: ["0", "0.5", "1001", "25x", "-25", "nan", "inf", "1e3", "", "25/0", "1/2", "30000/", "0x19"])
        func whatIsNoRate(text: String) { #expect(FrameRate(text) == nil) }

        /// Beyond 24 hours, and at rates that two digits cannot count, there is no time code.
        @Test(arguments: [
            (25.0, 3600.0, 82_800.0), (25, 0, 86_400), (25, 86_400, 0), (25, 9e18, 0), (25, -1, 0), (25, .nan, 0),
            (25, .infinity, 0), (12.5, 3600, 0), (120, 3600, 0), (119.88, 3600, 0), (25, 3600, 1e9), (25, 86_399, 1),
        ])
        func whatIsNoTimecodeIsRefused(rate: Double, start: Double, time: Double) throws {
            var export = AnswerExport(.edl)
            (export.rate, export.startTimecode) = (FrameRate(rate), start)
            let record = AnswerRecord(
                recording: "vid_0", path: "/rec/a", question: "When?", answer: "now",
                evidence: [Evidence(start: time, end: time, score: 1, frame: 0)])
            #expect(code { _ = try export.document([record], name: "a", path: "/a", end: 1) } == "bad_request")
        }

        /// No recording has such times, whatever the format.
        @Test(arguments: AnswerExport.Format.allCases)
        func timesOfNoRecordingAreRefused(format: AnswerExport.Format) throws {
            for (start, end) in [(1e19, 1e19), (1e308, 1e308), (-1, 2), (.nan, 1), (0, .infinity), (5, 4), (0, 2e9)] {
                for inSegment in [false, true] {
                    let record = AnswerRecord(
                        recording: "vid_0", path: "/rec/a", question: "When?", answer: "now",
                        evidence: inSegment ? [] : [Evidence(start: start, end: end, score: 1, frame: 0)],
                        segment: inSegment ? [start, end] : nil)
                    let export = AnswerExport(format)
                    #expect(
                        code { _ = try export.document([record], name: "a", path: "/a", end: 1) } == "bad_request",
                        "\(start) \(end)")
                }
            }
        }

        /// SMPTE 12M: 17,982 frames are ten minutes, and 1800 are one minute and two numbers.
        @Test(arguments: [
            (0, "00:00:00;00"), (1799, "00:00:59;29"), (1800, "00:01:00;02"), (17_981, "00:09:59;29"),
            (17_982, "00:10:00;00"), (107_892, "01:00:00;00"), (2_589_407, "23:59:59;29"),
        ])
        func dropFrameNumbers(frame: Int, wanted: String) throws {
            let code = try Timecode(rate: 29.97)
            #expect(code.text(frame) == wanted)
            let fields = wanted.split { $0 == ":" || $0 == ";" }.compactMap { Int($0) }
            #expect(code.frame(label: fields[0] * 3600 + fields[1] * 60 + fields[2], frames: fields[3]) == frame)
            #expect(code.text(2_589_408) == nil)
        }

        @Test func rankingPutsTheFoundFirst() throws {
            let folder = try Folder()
            let analyzer = Analyzer(model: try nano(), library: try folder.library())
            let json = try JSONEncoder().encode(try analyzer.ask(question(maxTokens: 2), about: Shared.video))
            let answers = try [("a", false, 0.1), ("b", true, 0.5), ("c", true, 0.9)].map { path, found, score in
                var values = try #require(try JSONSerialization.jsonObject(with: json) as? [String: Any])
                values["recording"] = ["id": "vid_0", "path": path]
                (values["found"], values["found_score"]) = (found, score)
                return try JSONDecoder().decode(Answer.self, from: JSONSerialization.data(withJSONObject: values))
            }
            let ranking = AnswerRanking(question: "What?", answers)
            #expect(ranking.recordings.map(\.recording.path) == ["c", "b", "a"])
            #expect(ranking.recordings.map(\.rank) == [1, 2, nil])
        }
    }
}
