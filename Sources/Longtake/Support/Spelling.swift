/// Suggests the name that was probably meant, for messages about unknown names.
package enum Spelling {
    /// Returns the closest of `known` and its edit distance; nil if `known` is empty.
    package static func nearest(to name: String, among known: [String]) -> (name: String, distance: Int)? {
        known.map { (name: $0, distance: distance($0, name)) }.min { $0.distance < $1.distance }
    }

    /// Returns the closest known name within an edit distance of 2 from `name`; nil if there is none.
    package static func suggestion(for name: String, among known: [String]) -> String? {
        guard name.count <= 100 else { return nil }
        return nearest(to: name, among: known).flatMap { $0.distance <= 2 ? $0.name : nil }
    }

    /// Levenshtein distance: letters to insert, remove or replace.
    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a), Array(b))
        var row = Array(0...b.count)
        for i in a.indices {
            var previous = row[0]
            row[0] = i + 1
            for j in b.indices {
                let next = min(row[j + 1] + 1, row[j] + 1, previous + (a[i] == b[j] ? 0 : 1))
                previous = row[j + 1]
                row[j + 1] = next
            }
        }
        return row[b.count]
    }
}
