/// The page of a report: one HTML file that needs nothing else, no network and no script.
package struct ReportPage {
    let data: ReportData

    /// The page of a report's data.
    package init(_ data: ReportData) { self.data = data }

    /// What a page may load: its own styles and images inside it.
    static let policy =
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

    /// The whole page.
    ///
    /// - Throws: for a number that is not finite.
    package func document() throws -> String {
        let title = HTMLText.line(data.title)
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta http-equiv="Content-Security-Policy" content="\(Self.policy)">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta name="generator" content="Longtake">
            <link rel="icon" href="data:,">
            <title>\(title)</title>
            <style>
            \(ReportStyle.text)
            </style>
            </head>
            <body>
            <a class="skip" href="#main">Skip to the report</a>
            <header>
            <h1>\(title)</h1>
            \(head)<p class="caution">Answers are \(HTMLText.escaped(data.caution)).</p>
            </header>
            \(contents)<main id="main" tabindex="-1">
            \(news)\(alerts)\(recordings)\(failures)\(cost)</main>
            <script type="application/json" id="longtake-data">\(try data.embedded())</script>
            </body>
            </html>

            """
    }

    private var head: String {
        guard let run = data.run else { return "" }
        let ended = run.summary.map { ", \(Self.duration($0.totalDuration))" } ?? ""
        var html = "<p>"
        if data.kind == .recording { html += "The last run that did something with it: " }
        html += "Run <code>\(HTMLText.line(run.id))</code> of \(HTMLText.line(run.pipeline)), started "
        html += "\(HTMLText.line(run.started))\(ended): <strong>\(HTMLText.line(run.state))</strong>"
        html += (run.error.map { ", \(HTMLText.line($0, limit: 1000))" } ?? "") + ".</p>\n"
        return html
    }

    // MARK: Sections

    /// The recordings with something that the run before did not have.
    private var new: [(number: Int, recording: ReportRecording, work: ReportRecording.Work)] {
        data.recordings.enumerated().compactMap { number, recording in
            recording.work.flatMap { $0.frames > 0 || $0.answers > 0 ? (number + 1, recording, $0) : nil }
        }
    }

    private var contents: String {
        var links: [String] = []
        if data.run != nil { links.append("<a href=\"#new\">New</a>") }
        if !data.alerts.isEmpty { links.append("<a href=\"#alerts\">Alerts</a>") }
        links.append("<a href=\"#recordings\">\(data.kind == .run ? "Recordings" : "Recording")</a>")
        if !data.failures.isEmpty { links.append("<a href=\"#failed\">Failed</a>") }
        if data.run?.summary != nil || data.kind == .recording { links.append("<a href=\"#cost\">Cost</a>") }
        return "<nav aria-label=\"Contents\"><ul>\n" + links.map { "<li>\($0)</li>\n" }.joined() + "</ul></nav>\n"
    }

    private var news: String {
        guard let run = data.run else { return "" }
        var html = Self.open("new", data.kind == .run ? "New since the last run" : "New in the last run")
        if let previous = run.previous {
            html += "<p>The run before: <code>\(HTMLText.line(previous.id))</code>, started "
            html += "\(HTMLText.line(previous.started)).</p>\n"
        } else {
            html += "<p>It is the first run of this pipeline.</p>\n"
        }
        if new.isEmpty { return html + "<p>Nothing new.</p>\n</section>\n" }
        html += "<ul class=\"news\">\n"
        for (number, recording, work) in new {
            html += "<li><a href=\"#r\(number)\">\(HTMLText.line(recording.name))</a>: "
            html += "\(counted(work.frames, "new frame")), \(counted(work.answers, "answer"))"
            html += work.action == "new" ? "" : " (\(HTMLText.line(work.action)))"
            html += Self.highlights(recording, run: run.id) + "</li>\n"
        }
        html += "</ul>\n"
        if data.recordingsLeftOut > 0 {
            html += "<p>And \(counted(data.recordingsLeftOut, "more recording")), left out of this page.</p>\n"
        }
        return html + "</section>\n"
    }

    /// The first answers of the run about a recording: one line.
    private static func highlights(_ recording: ReportRecording, run: String) -> String {
        let found = recording.lanes.filter { $0.kind == .question }.flatMap { lane in
            lane.answers.filter { $0.found && $0.run == run }.prefix(1).map { (lane.id, $0.answer) }
        }
        guard !found.isEmpty else { return "" }
        return "<br><span class=\"more\" dir=\"auto\">"
            + found.prefix(3).map { "\(HTMLText.line($0, limit: 60)): \(HTMLText.line($1, limit: 100))" }
            .joined(separator: "; ") + "</span>"
    }

    private var alerts: String {
        guard !data.alerts.isEmpty else { return "" }
        var html = Self.open("alerts", "Alerts") + "<ul class=\"alerts\">\n"
        for alert in data.alerts {
            html += "<li><strong>\(HTMLText.line(alert.alert))</strong>"
            if let path = alert.path { html += " in \(HTMLText.line(path, limit: 1000))" }
            if let interval = alert.interval, interval.count == 2 {
                html += " at \(Self.times(interval[0], interval[1], alert.clock ?? []))"
            }
            if let question = alert.question, let answer = alert.answer {
                html += ": <span dir=\"auto\">\(HTMLText.line(question)): \(HTMLText.line(answer, limit: 400))</span>"
            }
            if let message = alert.message { html += ": \(HTMLText.line(message, limit: 2000))" }
            html += " <span class=\"state\">\(HTMLText.line(alert.state))</span>"
            if let error = alert.error {
                html += " <span class=\"error\">\(counted(alert.tries, "failed try", "failed tries")), "
                html += "\(HTMLText.line(error, limit: 1000))</span>"
            }
            html += "</li>\n"
        }
        html += "</ul>\n"
        if data.alertsLeftOut > 0 { html += "<p>And \(counted(data.alertsLeftOut, "more alert")).</p>\n" }
        return html + "</section>\n"
    }

    private var recordings: String {
        var html = Self.open("recordings", data.kind == .run ? "Recordings" : "Recording")
        if data.recordings.isEmpty { html += "<p>The run did nothing with any recording.</p>\n" }
        for (number, recording) in data.recordings.enumerated() {
            html += ReportArticle(recording, anchor: "r\(number + 1)").html
        }
        if data.recordingsLeftOut > 0 {
            let left = counted(data.recordingsLeftOut, "more recording")
            html += "<p>\(left) of this run would make the page too large; each can have a report of its own.</p>\n"
        }
        return html + "</section>\n"
    }

    private var failures: String {
        guard !data.failures.isEmpty else { return "" }
        var html = Self.open("failed", "What failed")
        for isNew in [true, false] {
            let failures = data.failures.filter { $0.isNew == isNew }
            guard !failures.isEmpty else { continue }
            html += "<h3>\(isNew ? "In this run" : "Waiting to be tried again")</h3>\n<ul class=\"failed\">\n"
            for failure in failures {
                html += "<li><strong>\(HTMLText.line(failure.path, limit: 1000))</strong>: "
                html += "<span class=\"error\">\(HTMLText.line(failure.error, limit: 2000))</span>"
                if let tries = failure.tries {
                    let next = failure.next.map { "again after \(HTMLText.line($0))" } ?? "set aside until it changes"
                    html += "; \(counted(tries, "try", "tries")), \(next)"
                }
                html += "</li>\n"
            }
            html += "</ul>\n"
        }
        if data.failuresLeftOut > 0 { html += "<p>And \(counted(data.failuresLeftOut, "more file")).</p>\n" }
        return html + "</section>\n"
    }

    private var cost: String {
        var rows: [(String, String)] = []
        if let summary = data.run?.summary {
            rows = [
                ("Time", Self.duration(summary.totalDuration)),
                (
                    "Files",
                    "\(summary.filesNew + summary.filesResumed) indexed, \(summary.filesUnmodified) unchanged, "
                        + "\(summary.filesFailed) failed"
                ),
                ("Answers", "\(summary.answers) given, \(summary.answersUnchanged) known before"),
                ("Frames", "\(data.recordings.compactMap(\.work).reduce(0) { $0 + $1.frames }) encoded"),
                ("Cache", "\(Self.bytes(summary.bytesAdded)) added"),
                (
                    "Memory",
                    "at most \(Self.bytes(Int64(summary.peakMemoryBytes))), decoder "
                        + Self.bytes(Int64(summary.peakWorkerMemoryBytes))
                ),
            ]
            if let each = summary.secondsPerFrame {
                rows.append(("Per frame", "\(TimeText.number((each * 10_000).rounded() / 10_000)) s"))
            }
            if summary.filesLeft > 0 {
                rows.append(("Left", counted(summary.filesLeft, "recording") + " for the next run"))
            }
        }
        if data.kind == .recording, let recording = data.recordings.first {
            if let frames = recording.frames, let bytes = recording.bytes {
                rows.append(("Index", "\(counted(frames, "frame")), \(Self.bytes(bytes)) in the cache"))
            }
            if let work = recording.work { rows.append(("This recording", Self.duration(work.seconds))) }
        }
        guard !rows.isEmpty else { return "" }
        return Self.open("cost", "What it cost") + "<dl class=\"facts\">\n"
            + rows.map { "<div><dt>\($0)</dt><dd>\(HTMLText.line($1))</dd></div>\n" }.joined()
            + "</dl>\n</section>\n"
    }

    private static func open(_ id: String, _ title: String) -> String {
        "<section aria-labelledby=\"\(id)\">\n<h2 id=\"\(id)\">\(title)</h2>\n"
    }
}

extension ReportPage {
    /// An interval on the file's timeline and as times of day.
    static func times(_ start: Double, _ end: Double, _ clock: [String]) -> String {
        let day = DayInterval.text(clock.first, clock.last).map { " (\(HTMLText.line($0)))" } ?? ""
        return "\(TimeText.clock(start))–\(TimeText.clock(end))\(day)"
    }

    /// The times of evidence.
    static func times(_ evidence: Evidence) -> String {
        times(evidence.start, evidence.end, [evidence.startClock, evidence.endClock].compactMap(\.self))
    }

    /// Seconds below a minute, then hh:mm:ss.
    static func duration(_ seconds: Double) -> String {
        seconds < 60 ? "\(TimeText.number((seconds * 10).rounded() / 10)) s" : TimeText.clock(seconds)
    }

    /// Bytes in KiB or MiB, for people.
    static func bytes(_ bytes: Int64) -> String {
        bytes < 1 << 20 ? "\(bytes >> 10) KiB" : "\(bytes >> 20) MiB"
    }
}
