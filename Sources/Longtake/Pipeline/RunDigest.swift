internal import Foundation
internal import Store

/// A summary of a run to be read in the morning: what is new first, then alerts, failures and the cost.
package struct RunDigest: Sendable {
    /// How the digest is written.
    package enum Style: String, Sendable, CaseIterable {
        case markdown, text
    }

    private let run: RunRecord
    private let answers: [AnswerRecord]
    private let alerts: [AlertRecord]
    private let failed: [FailedFile]
    private let style: Style

    /// Most answers that are listed per file.
    private static let mostAnswers = 50

    init(
        _ run: RunRecord, answers: [AnswerRecord], alerts: [AlertRecord], failed: [FailedFile], style: Style
    ) {
        self.run = run
        self.answers = answers
        self.alerts = alerts
        self.failed = failed
        self.style = style
    }

    /// The whole digest.
    package var document: String {
        let files = run.files ?? []
        let new = files.filter { $0.frames > 0 || $0.answers > 0 }
        var text = heading(1, "\((run.pipeline as NSString).lastPathComponent): \(title(new.count))")
        text += "Run \(run.id), started \(run.started)"
        text += run.summary.map { ", \(duration($0.totalDuration))" } ?? ""
        text += ", \(run.state)\(run.error.map { ": " + plain($0) } ?? "").\n"
        if !new.isEmpty { text += heading(2, "New") }
        let byPath = Dictionary(grouping: answers, by: \.path)
        for file in new {
            text += heading(3, plain(file.path))
            var facts = [counted(file.frames, "new frame"), counted(file.answers, "answer")]
            if file.action != "new" { facts.append(file.action) }
            text += facts.joined(separator: ", ") + ".\n"
            let given = byPath[file.path] ?? []
            if !given.isEmpty { text += "\n" }
            for answer in given.prefix(Self.mostAnswers) { text += "- " + line(answer) + "\n" }
            if given.count > Self.mostAnswers {
                text += "- … and \(counted(given.count - Self.mostAnswers, "more answer"))\n"
            }
        }
        text += section(
            "Alerts", alerts.map { "\(strong($0.alert)): \($0.state)\($0.error.map { ", " + plain($0) } ?? "")" })
        let problems = files.filter { $0.error != nil }.map { "\(strong(plain($0.path))): \(plain($0.error ?? ""))" }
        text += section("Failed in this run", problems)
        text += section(
            "Waiting to be tried again",
            failed.map {
                let when = $0.next.map { "again after \($0)" } ?? "set aside until it changes"
                return "\(strong(plain($0.path))): \(plain($0.message)); \(counted($0.tries, "try", "tries")), \(when)"
            })
        return text + cost
    }

    private func title(_ new: Int) -> String {
        new == 0 ? "nothing new" : "\(counted(new, "recording")) with something new"
    }

    private var cost: String {
        guard let summary = run.summary else { return "" }
        var facts = [
            "\(counted(summary.filesNew + summary.filesResumed, "file")) indexed, \(summary.filesUnmodified) unchanged",
            "\(counted(summary.answers, "answer")) given, \(summary.answersUnchanged) known before",
            "\(duration(summary.totalDuration)); at most \(summary.peakMemoryBytes >> 20) MiB of memory",
            "\(summary.bytesAdded >> 20) MiB added to the cache",
        ]
        if let each = summary.secondsPerFrame { facts.append("\((each * 1000).rounded() / 1000) s per frame") }
        if summary.filesLeft > 0 {
            facts.append("\(counted(summary.filesLeft, "file is", "files are")) left to the next run")
        }
        return section("Cost", facts)
    }

    private func line(_ answer: AnswerRecord) -> String {
        var line = strong(plain(answer.questionID ?? answer.question)) + ": " + plain(answer.answer)
        if let segment = answer.segment, segment.count == 2 {
            line += " (\(TimeText.clock(segment[0]))–\(TimeText.clock(segment[1])))"
        } else if let first = answer.evidence.first {
            line += " (\(TimeText.clock(first.start))–\(TimeText.clock(first.end)))"
        }
        return answer.found ? line : line + " (not found)"
    }

    private func duration(_ seconds: Double) -> String {
        seconds < 60 ? "\((seconds * 10).rounded() / 10) s" : TimeText.clock(seconds)
    }

    private func heading(_ level: Int, _ text: String) -> String {
        switch (style, level) {
        case (.markdown, _): "\(level > 1 ? "\n" : "")\(String(repeating: "#", count: level)) \(text)\n\n"
        case (.text, 1): "\(text)\n\(String(repeating: "=", count: min(text.count, 100)))\n\n"
        case (.text, 2): "\n\(text)\n\(String(repeating: "-", count: min(text.count, 100)))\n\n"
        case (.text, _): "\n\(text)\n"
        }
    }

    private func section(_ title: String, _ lines: [String]) -> String {
        lines.isEmpty ? "" : heading(2, title) + lines.map { "- \($0)\n" }.joined()
    }

    private func strong(_ text: String) -> String { style == .markdown ? "**\(text)**" : text }

    /// A text on one line; in Markdown without what would be markup.
    private func plain(_ text: String) -> String {
        let line = text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) }
        guard style == .markdown else { return String(line) }
        return line.reduce(into: "") { $0 += "\\`*_[]<>#|".contains($1) ? "\\\($1)" : "\($1)" }
    }
}

extension Library {
    /// Returns the digest of a run.
    package func digest(of run: RunRecord, style: RunDigest.Style) throws -> RunDigest {
        let decoder = JSONDecoder()
        let answers = try answerLines(of: run).compactMap {
            try? decoder.decode(AnswerRecord.self, from: Data($0.utf8))
        }
        return RunDigest(
            run, answers: answers, alerts: try alerts(pipeline: run.pipeline).filter { $0.run == run.id },
            failed: try failedFiles(pipeline: run.pipeline), style: style)
    }
}
