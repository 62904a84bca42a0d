/// The part of a report's page that is about one recording.
struct ReportArticle {
    let recording: ReportRecording
    /// Prefix of the IDs in it.
    let anchor: String

    init(_ recording: ReportRecording, anchor: String) { (self.recording, self.anchor) = (recording, anchor) }

    /// Windows from which on their table is closed at first.
    private static let longTable = 24

    /// The article.
    var html: String {
        var html = #"<article aria-labelledby="\#(anchor)">"# + "\n"
        html += #"<h3 id="\#(anchor)">\#(HTMLText.line(recording.name))</h3>"# + "\n" + facts
        for note in recording.notes {
            html += #"<p class="note">Note: \#(HTMLText.line(note, limit: 1000))</p>"# + "\n"
        }
        if let error = recording.work?.error {
            html += #"<p class="error">\#(HTMLText.line(error, limit: 2000))</p>"# + "\n"
        }
        html += ReportTimeline(recording, anchor: anchor)?.html ?? ""
        var shown: Set<Int> = []
        for (number, lane) in recording.lanes.enumerated() {
            html += section(lane, "\(anchor)-q\(number + 1)", &shown)
        }
        if recording.lanes.isEmpty { html += "<p>No question was answered.</p>\n" }
        if recording.lanesLeftOut > 0 {
            html += "<p>\(counted(recording.lanesLeftOut, "more question")) left out of this page.</p>\n"
        }
        if recording.picturesLeftOut > 0 {
            html += #"<p class="note">Images of \#(counted(recording.picturesLeftOut, "frame")) of evidence are left "#
            html += "out to keep the page small.</p>\n"
        }
        return html + "</article>\n"
    }

    private var facts: String {
        var rows = [("Path", recording.path)]
        if let camera = recording.camera { rows.append(("Camera", camera)) }
        if let clock = recording.clock {
            let doubt = clock.uncertainty.map { $0 >= 1 ? ", within \(TimeText.number($0.rounded())) s" : "" } ?? ""
            rows.append(("Started", "\(clock.start) (\(clock.timezone), by its \(clock.source)\(doubt))"))
        }
        if let start = recording.start, let end = recording.end {
            rows.append(("Length", TimeText.clock(end - start)))
        }
        if let frames = recording.frames { rows.append(("Frames", "\(frames)")) }
        if let id = recording.id { rows.append(("ID", id)) }
        if let work = recording.work {
            let what = "\(work.action): \(counted(work.frames, "frame")), \(counted(work.answers, "answer"))"
            rows.append(("Run", "\(what) in \(ReportPage.duration(work.seconds))"))
        }
        if recording.index == nil { rows.append(("Index", "removed since")) }
        if let file = recording.file, file != "present" { rows.append(("File", file)) }
        return "<dl class=\"facts\">\n"
            + rows.map { "<div><dt>\($0)</dt><dd>\(HTMLText.line($1, limit: 1000))</dd></div>\n" }.joined() + "</dl>\n"
    }

    private func section(_ lane: ReportLane, _ id: String, _ shown: inout Set<Int>) -> String {
        let name = HTMLText.line(lane.id)
        var html = #"<div class="lane-text">"# + "\n" + #"<h4 id="\#(id)" tabindex="-1">"#
        html += lane.kind == .search ? "Search: \(name)" : name
        html += "</h4>\n"
        if lane.question != lane.id {
            html += #"<p class="question" dir="auto">\#(HTMLText.line(lane.question, limit: 1000))</p>"# + "\n"
        }
        if lane.kind == .windows {
            html += windows(lane, name, &shown)
        }
        if lane.kind == .search, !lane.answers.contains(where: \.found) {
            html += "<p class=\"answer missing\">Nothing found.</p>\n"
        }
        for answer in lane.answers where lane.kind == .question || lane.kind == .windows && answer.segment == nil {
            html += text(answer, &shown)
        }
        if lane.kind == .search {
            html += list(lane.answers.filter(\.found).flatMap(\.evidence), isSearch: true, &shown)
        }
        if lane.answersLeftOut > 0 {
            html += #"<p class="note">\#(counted(lane.answersLeftOut, "more answer")) left out to keep the page "#
            html += "small; the run's answers have them all.</p>\n"
        }
        return html + "</div>\n"
    }

    private func text(_ answer: ReportAnswer, _ shown: inout Set<Int>) -> String {
        var html = #"<p class="answer\#(answer.found ? "" : " missing")" dir="auto">"#
        html += HTMLText.escaped(HTMLText.shortened(answer.answer, ReportAnswer.longestText)) + "</p>\n"
        if let segment = answer.segment {
            html += "<p>About \(ReportPage.times(segment[0], segment[1], answer.segmentClock ?? [])).</p>\n"
        }
        return html + list(answer.evidence, isSearch: false, &shown)
    }

    /// Evidence or hits, strongest first.
    private func list(_ evidence: [Evidence], isSearch: Bool, _ shown: inout Set<Int>) -> String {
        guard !evidence.isEmpty else { return "" }
        var html = #"<ol class="evidence" aria-label="\#(isSearch ? "Hits" : "Evidence, strongest first")">"# + "\n"
        for one in evidence { html += "<li>\(item(one, isSearch: isSearch, &shown))</li>\n" }
        return html + "</ol>\n"
    }

    /// Evidence with its times, its score, and its image the first time that it occurs.
    private func item(_ evidence: Evidence, isSearch: Bool = false, _ shown: inout Set<Int>) -> String {
        let score = isSearch ? "score \(HTMLText.number(evidence.score))" : percent(evidence.score)
        let times =
            #"<span class="times">\#(ReportPage.times(evidence))</span> "#
            + #"<span class="score">\#(score)</span>"#
        guard let picture = recording.pictures.first(where: { $0.frame == evidence.frame }) else { return times }
        let id = "\(anchor)-f\(picture.frame)"
        guard shown.insert(picture.frame).inserted else {
            return times + " <a href=\"#\(id)\">image above</a>"
        }
        return #"<figure id="\#(id)"><img src="\#(picture.source)" width="\#(picture.width)" "#
            + #"height="\#(picture.height)" alt="Frame at \#(TimeText.clock(picture.time))">"#
            + "<figcaption>\(times)</figcaption></figure>"
    }

    private func percent(_ score: Double) -> String {
        score.isFinite ? "\(TimeText.number((score * 1000).rounded() / 10)) %" : ""
    }

    // MARK: Windows

    private func windows(_ lane: ReportLane, _ name: String, _ shown: inout Set<Int>) -> String {
        let count = lane.blocks.reduce(0) { $0 + $1.count }
        let classes = ReportTimeline.classes(of: lane)
        let ranking = ReportTimeline.ranking(of: lane)
        var html = #"<ul class="legend" aria-label="Answers and their windows">"# + "\n"
        for item in ranking.prefix(ReportTimeline.colors) {
            html += #"<li><span class="swatch \#(classes[item.name] ?? "c0")" aria-hidden="true"></span>"#
            html += #"<span dir="auto">\#(HTMLText.line(item.answer, limit: 120))</span>: "#
            html += "\(counted(item.count, "window"))</li>\n"
        }
        let others = ranking.dropFirst(ReportTimeline.colors)
        if !others.isEmpty {
            html +=
                #"<li><span class="swatch c6" aria-hidden="true"></span>\#(counted(others.count, "other answer")): "#
            html += "\(counted(others.reduce(0) { $0 + $1.count }, "window"))</li>\n"
        }
        html += "</ul>\n"
        let rows = lane.blocks.prefix { block in lane.answersLeftOut == 0 || block.start <= lastShown(lane) }
        html += rows.count > Self.longTable ? "<details>" : "<details open>"
        html += "<summary>\(counted(count, "window")), equal neighbors in one row</summary>\n"
        html +=
            #"<div class="table" role="region" aria-label="Windows of \#(name) in \#(HTMLText.line(recording.name))" tabindex="0">"#
        html += #"<table><thead><tr><th scope="col">Time</th><th scope="col">Windows</th>"#
        html += #"<th scope="col">Answer</th><th scope="col">Strongest evidence</th></tr></thead><tbody>"# + "\n"
        for block in rows {
            html += #"<tr><th scope="row">\#(TimeText.clock(block.start))–\#(TimeText.clock(block.end))"#
            if let day = block.dayTimes { html += "<br><span class=\"day\">\(HTMLText.line(day))</span>" }
            html += #"</th><td>\#(block.count)</td><td dir="auto""#
            html += block.answer.found ? ">" : #" class="missing">"#
            html += HTMLText.escaped(HTMLText.shortened(block.answer.answer, ReportAnswer.longestText)) + "</td><td>"
            html += (block.evidence.map { item($0, &shown) } ?? "") + "</td></tr>\n"
        }
        return html + "</tbody></table></div></details>\n"
    }

    private func lastShown(_ lane: ReportLane) -> Double { lane.answers.last?.start ?? -.infinity }
}
