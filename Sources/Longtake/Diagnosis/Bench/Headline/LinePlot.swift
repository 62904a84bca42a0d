internal import Foundation

/// A line drawing over the number of frames, both axes logarithmic, as SVG that can be read on light and dark pages.
struct LinePlot {
    /// One line.
    struct Series {
        let name: String
        /// Above 0, by rising x.
        let points: [(x: Double, y: Double)]
        /// Index of its color.
        let color: Int
        /// True for a broken line.
        var isDashed = false
        /// Points drawn filled: measured ones; the others are hollow.
        var filled: Set<Double> = []
    }

    /// What is shown, as a heading.
    let title: String
    /// The same in a sentence or two, for readers who do not see it.
    let description: String
    /// The label of the upward axis.
    let unit: String
    let series: [Series]
    /// A horizontal line and its name.
    var limit: (value: Double, name: String)?
    /// Text of a value at the upward axis.
    let label: (Double) -> String

    private static let (left, right, top, bottom) = (76.0, 236.0, 56.0, 52.0)
    private static let (width, height) = (440.0, 300.0)

    /// The drawing.
    var svg: String {
        let (across, up) = (Self.decades(series.flatMap { $0.points.map(\.x) }, least: 1), upDecades)
        let total = (Self.left + Self.width + Self.right, Self.top + Self.height + Self.bottom)
        var lines = [
            #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \#(Self.number(total.0)) \#(Self.number(total.1))""#
                + #" role="img" aria-labelledby="title description" font-family="sans-serif" font-size="12">"#,
            #"<title id="title">\#(HeatMap.escaped(title))</title>"#,
            #"<desc id="description">\#(HeatMap.escaped(description))</desc>"#, Self.style,
            #"<rect class="page" width="100%" height="100%"/>"#,
            #"<text class="ink" x="\#(Self.number(Self.left))" y="24" font-size="15">\#(HeatMap.escaped(title))</text>"#,
            #"<text class="ink" x="\#(Self.number(Self.left))" y="44">\#(HeatMap.escaped(unit))</text>"#,
        ]
        func x(_ value: Double) -> Double { Self.left + Self.width * Self.place(value, across) }
        func y(_ value: Double) -> Double { Self.top + Self.height * (1 - Self.place(value, up)) }
        for power in up {
            let value = Foundation.pow(10, Double(power))
            lines.append(Self.line("grid", Self.left, y(value), Self.left + Self.width, y(value)))
            lines.append(Self.text(label(value), Self.left - 8, y(value) + 4, anchor: "end"))
        }
        for power in across {
            let value = Foundation.pow(10, Double(power))
            lines.append(Self.line("grid", x(value), Self.top, x(value), Self.top + Self.height))
            lines.append(Self.text(Self.count(value), x(value), Self.top + Self.height + 18, anchor: "middle"))
        }
        lines.append(
            Self.text("frames", Self.left + Self.width / 2, Self.top + Self.height + 40, anchor: "middle"))
        if let limit {
            lines.append(Self.line("limit", Self.left, y(limit.value), Self.left + Self.width, y(limit.value)))
            lines.append(Self.text(limit.name, Self.left + 6, y(limit.value) - 5, anchor: "start"))
        }
        for line in series {
            let points = line.points.map { "\(Self.number(x($0.x))),\(Self.number(y($0.y)))" }
            let dashes = line.isDashed ? #" stroke-dasharray="6 4""# : ""
            lines.append(
                #"<polyline class="line c\#(line.color)" points="\#(points.joined(separator: " "))"\#(dashes)/>"#)
            for point in line.points {
                let kind = line.filled.contains(point.x) ? "full" : "hollow"
                lines.append(
                    #"<circle class="\#(kind) c\#(line.color)" cx="\#(Self.number(x(point.x)))""#
                        + #" cy="\#(Self.number(y(point.y)))" r="3.5"/>"#)
            }
        }
        return (lines + names(y) + ["</svg>"]).joined(separator: "\n") + "\n"
    }

    /// The lines' names beside their ends, at least a line of text apart.
    private func names(_ y: (Double) -> Double) -> [String] {
        var next = Self.top
        return series.compactMap { line in line.points.last.map { (line, y($0.y)) } }.sorted { $0.1 < $1.1 }.map {
            line, end in
            let place = max(end + 4, next)
            next = place + 16
            return #"<text class="name c\#(line.color)" x="\#(Self.number(Self.left + Self.width + 12))""#
                + #" y="\#(Self.number(place))">\#(HeatMap.escaped(line.name))</text>"#
        }
    }

    private var upDecades: ClosedRange<Int> {
        Self.decades(series.flatMap { $0.points.map(\.y) } + (limit.map { [$0.value] } ?? []), least: nil)
    }

    /// The powers of ten around all values.
    private static func decades(_ values: [Double], least: Double?) -> ClosedRange<Int> {
        let positive = values.filter { $0 > 0 && $0.isFinite } + (least.map { [$0] } ?? [])
        guard let low = positive.min(), let high = positive.max() else { return 0...1 }
        let first = Int(saturating: log10(low).rounded(.down))
        return first...max(first + 1, Int(saturating: log10(high).rounded(.up)))
    }

    private static func place(_ value: Double, _ range: ClosedRange<Int>) -> Double {
        guard value > 0 else { return 0 }
        return (log10(value) - Double(range.lowerBound)) / Double(range.upperBound - range.lowerBound)
    }

    private static func line(_ kind: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
        #"<line class="\#(kind)" x1="\#(number(x1))" y1="\#(number(y1))" x2="\#(number(x2))" y2="\#(number(y2))"/>"#
    }

    private static func text(_ text: String, _ x: Double, _ y: Double, anchor: String) -> String {
        #"<text class="ink" x="\#(number(x))" y="\#(number(y))" text-anchor="\#(anchor)">\#(HeatMap.escaped(text))</text>"#
    }

    private static func number(_ value: Double) -> String { String(format: "%.1f", value) }

    /// 1, 10, …, 10,000.
    private static func count(_ value: Double) -> String {
        value < 1000 ? String(format: "%.0f", value) : String(format: "%.0f,000", value / 1000)
    }

    private static let style = """
        <style>
        .page { fill: #ffffff } .ink { fill: #1f2328 } .grid { stroke: #d8dee4; stroke-width: 1 }
        .limit { stroke: #1f2328; stroke-width: 1.5; stroke-dasharray: 2 3 }
        .line { fill: none; stroke-width: 2 } .full { stroke-width: 2 } .hollow { stroke-width: 2 }
        .c0 { stroke: #b3261e } .c1 { stroke: #1a5fb4 } .c2 { stroke: #1b7f3b }
        .full.c0, .name.c0 { fill: #b3261e } .full.c1, .name.c1 { fill: #1a5fb4 } .full.c2, .name.c2 { fill: #1b7f3b }
        .hollow { fill: #ffffff } .name { stroke: none }
        @media (prefers-color-scheme: dark) {
        .page { fill: #0d1117 } .ink { fill: #e6edf3 } .grid { stroke: #30363d } .limit { stroke: #e6edf3 }
        .c0 { stroke: #ff8a80 } .c1 { stroke: #79b8ff } .c2 { stroke: #7ee787 }
        .full.c0, .name.c0 { fill: #ff8a80 } .full.c1, .name.c1 { fill: #79b8ff } .full.c2, .name.c2 { fill: #7ee787 }
        .hollow { fill: #0d1117 } .name { stroke: none }
        }
        </style>
        """
}
