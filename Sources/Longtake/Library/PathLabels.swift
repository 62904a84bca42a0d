internal import Foundation

/// Names files by as much of the end of their paths as tells them apart: "12.mp4", or "cam1/12.mp4" and "cam2/12.mp4".
public struct PathLabels {
    private var labels: [[UInt8]: String] = [:]

    /// - Parameter paths: all that are shown together.
    public init(_ paths: [String]) {
        // Split by bytes: two names that only look alike are two names.
        var open = Set(paths.map { Array($0.utf8) })
        var depth = 1
        while !open.isEmpty {
            let named = Dictionary(grouping: open) { Self.end(of: $0, depth) }
            for (label, paths) in named {
                // A path that is used up has no longer name.
                for path in paths where paths.count == 1 || label.count == path.count {
                    labels[path] = String(decoding: label, as: UTF8.self)
                    open.remove(path)
                }
            }
            depth += 1
        }
    }

    /// The shortest name of one of the paths.
    public func name(_ path: String) -> String { labels[Array(path.utf8)] ?? path }

    private static func end(of path: [UInt8], _ depth: Int) -> [UInt8] {
        var left = depth
        for place in path.indices.reversed() where path[place] == UInt8(ascii: "/") {
            left -= 1
            if left == 0 { return place == 0 && depth > 1 ? path : Array(path[(place + 1)...]) }
        }
        return path
    }
}
