import Foundation
import Longtake

/// Formats values for people.
enum Format {
    static func bytes(_ count: Int64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(count)
        var unit = 0
        while abs(value) >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(count) B" : "\(number(value, digits: value < 10 ? 2 : 1)) \(units[unit])"
    }

    static func number(_ value: Double, digits: Int) -> String { String(format: "%.\(digits)f", value) }

    /// A value with three significant digits.
    static func short(_ value: Double) -> String { String(format: "%.3g", value) }

    static func time(_ seconds: Double) -> String {
        seconds < 60 ? "\(number(seconds, digits: 1)) s" : TimeText.clock(seconds)
    }

    static func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    }

    /// A number of operations, as "1.24 TFLOP".
    static func operations(_ count: Double) -> String {
        let units: [(Double, String)] = [
            (1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"),
        ]
        let (size, name) = units.first { count >= $0.0 } ?? (1e6, "MFLOP")
        return "\(short(count / size)) \(name)"
    }

    /// A table whose columns are as wide as their widest cell; the last cell of a row is not padded.
    static func table(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
            }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}
