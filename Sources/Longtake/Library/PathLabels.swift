internal import Foundation

/// Labels files with the shortest path endings that distinguish them: "12.mp4", or "cam1/12.mp4" and "cam2/12.mp4".
package struct PathLabels {
    private var labels: [[UInt8]: String] = [:]

    /// Creates labels.
    ///
    /// - Parameter paths: all paths that are shown together.
    package init(_ paths: [String]) {
        // Compared by bytes: two names that only look the same are different names.
        var open = Set(paths.map { Array($0.utf8) })
        var depth = 1
        while !open.isEmpty {
            let named = Dictionary(grouping: open) { Self.end(of: $0, depth) }
            for (label, paths) in named {
                // A whole path cannot be extended further.
                for path in paths where paths.count == 1 || label.count == path.count {
                    labels[path] = String(decoding: label, as: UTF8.self)
                    open.remove(path)
                }
            }
            depth += 1
        }
    }

    /// Returns the label of one of the paths.
    package func name(_ path: String) -> String { labels[Array(path.utf8)] ?? path }

    private static func end(of path: [UInt8], _ depth: Int) -> [UInt8] {
        var left = depth
        for index in path.indices.reversed() where path[index] == UInt8(ascii: "/") {
            left -= 1
            if left == 0 { return index == 0 && depth > 1 ? path : Array(path[(index + 1)...]) }
        }
        return path
    }
}
