/// The timeline of a recording: one bar per question, drawn in an SVG that stretches with the page.
///
/// The lists below it say the same in words; each bar links to its own.
struct ReportTimeline {
    /// Width of a bar in units of its drawing.
    private static let units = 1000.0
    /// Least width of an interval, so that a second of a day is seen.
    private static let least = 2.5
    /// Answers of windows with a color of their own.
    static let colors = 5

    let recording: ReportRecording
    let extent: ClosedRange<Double>
    /// The recording's anchor in the page.
    let anchor: String

    /// Nil if nothing is known of the recording's times.
    init?(_ recording: ReportRecording, anchor: String) {
        guard let extent = recording.extent, !recording.lanes.isEmpty else { return nil }
        (self.recording, self.extent, self.anchor) = (recording, extent, anchor)
    }

    /// The bars and their axis.
    var html: String {
        var html =
            #"<div class="timeline" role="group" aria-label="Timeline of \#(HTMLText.line(recording.name))" "#
            + #"data-start="\#(extent.lowerBound)" data-end="\#(extent.upperBound)">"# + "\n"
        for (number, lane) in recording.lanes.enumerated() {
            let target = "\(anchor)-q\(number + 1)"
            html += "<div class=\"lane\"><a href=\"#\(target)\">\(HTMLText.line(lane.id, limit: 60))</a>"
            html += bar(lane) + "</div>\n"
        }
        return html + axis + "</div>\n"
    }

    private func bar(_ lane: ReportLane) -> String {
        let evidence = lane.answers.filter(\.found).flatMap(\.evidence).count
        let what =
            switch lane.kind {
            case .question: counted(evidence, "interval")
            case .search: counted(evidence, "hit")
            case .windows:
                "\(counted(lane.blocks.reduce(0) { $0 + $1.count }, "window")), \(counted(evidence, "interval"))"
            }
        var svg =
            #"<svg class="bar \#(lane.kind.rawValue)" viewBox="0 0 1000 24" preserveAspectRatio="none" role="img" "#
            + #"aria-label="\#(HTMLText.line(lane.id, limit: 60)): \#(what), listed below">"#
        let isWindows = lane.kind == .windows
        if isWindows {
            let classes = Self.classes(of: lane)
            for block in drawn(lane.blocks, most: lane.mostBlocks) {
                let name = classes[ReportBlock.name(block.answer)] ?? "c\(Self.colors + 1)"
                let times = "\(TimeText.clock(block.start))–\(TimeText.clock(block.end))"
                svg += rect(block.start, block.end, y: 0, height: 15, name, least: 0)
                svg += "<title>\(times): \(HTMLText.line(block.answer.answer, limit: 80))</title></rect>"
            }
        }
        for answer in lane.answers {
            for one in answer.evidence {
                let name = answer.found ? "e" : "n"
                svg += rect(
                    one.start, one.end, y: isWindows ? 17 : 3, height: isWindows ? 7 : 18, name, least: Self.least,
                    data: #" data-start="\#(one.start)" data-end="\#(one.end)""#)
                svg += "<title>\(ReportPage.times(one))</title></rect>"
            }
        }
        return svg + "</svg>"
    }

    /// Blocks few enough to be drawn: of very many, those at evenly spaced times.
    private func drawn(_ blocks: [ReportBlock], most: Int) -> [ReportBlock] {
        guard blocks.count > most else { return blocks }
        let step = (extent.upperBound - extent.lowerBound) / Double(most)
        var chosen: [ReportBlock] = []
        var last = -1
        for block in blocks {
            let slot = Int(saturating: (block.end - extent.lowerBound) / step)
            if slot > last { chosen.append(block) }
            last = max(last, slot)
        }
        return chosen
    }

    private func rect(
        _ start: Double, _ end: Double, y: Int, height: Int, _ name: String, least: Double, data: String = ""
    ) -> String {
        let scale = Self.units / (extent.upperBound - extent.lowerBound)
        let width = max((end - start) * scale, least)
        let x = min((start - extent.lowerBound) * scale, Self.units - width)
        return #"<rect class="\#(name)" x="\#(HTMLText.number(x))" y="\#(y)" width="\#(HTMLText.number(width))" "#
            + #"height="\#(height)"\#(data)>"#
    }

    /// The class of each answer's color: the most frequent ones have their own, what was not found is c0.
    static func classes(of lane: ReportLane) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: ranking(of: lane).enumerated().map { place, item in
                (item.name, "c\(item.name.isEmpty ? 0 : min(place, colors) + 1)")
            })
    }

    /// The different answers of a lane of windows and how many windows have each, the most frequent first.
    ///
    /// What was not found comes last, as the empty name.
    static func ranking(of lane: ReportLane) -> [(name: String, answer: String, count: Int)] {
        var places: [String: Int] = [:]
        var all: [(name: String, answer: String, count: Int)] = []
        for block in lane.blocks {
            let name = ReportBlock.name(block.answer)
            if let place = places[name] {
                all[place].count += block.count
            } else {
                places[name] = all.count
                all.append((name, block.answer.answer, block.count))
            }
        }
        return all.enumerated().sorted {
            let (left, right) = ($0.element, $1.element)
            if left.name.isEmpty != right.name.isEmpty { return right.name.isEmpty }
            return left.count != right.count ? left.count > right.count : $0.offset < $1.offset
        }.map(\.element)
    }

    /// Seconds between the labels of an axis.
    private static let steps: [Double] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
    ]

    /// Labels at round times, at most five.
    private var axis: String {
        let length = extent.upperBound - extent.lowerBound
        var step = Self.steps.first { length / $0 <= 4 } ?? 86_400
        while length / step > 4 { step *= 2 }
        var html = #"<div class="axis" aria-hidden="true">"#
        var time = (extent.lowerBound / step).rounded(.up) * step
        while time <= extent.upperBound {
            let share = (time - extent.lowerBound) / length * 100
            let side = share > 90 ? " last" : share < 5 ? " first" : ""
            html +=
                #"<span class="tick\#(side)" style="left:\#(HTMLText.number(share))%">\#(TimeText.clock(time))</span>"#
            time += step
        }
        return html + "</div>\n"
    }
}
