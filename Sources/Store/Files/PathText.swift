import Foundation

/// Paths stored as text, although a path's bytes need not be UTF-8.
package enum PathText {
    /// Returns the bytes of a path stored as text and, if it is not UTF-8, in base64.
    package static func bytes(_ path: String, base64: String?) -> [UInt8] {
        base64.flatMap { Data(base64Encoded: $0) }.map { Array($0) } ?? Array(path.utf8)
    }
}
