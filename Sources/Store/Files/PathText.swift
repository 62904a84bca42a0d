import Foundation

/// Paths as text, which they need not be.
enum PathText {
    /// The bytes of a path that is kept as text and, where it is no UTF-8, in base64.
    static func bytes(_ path: String, base64: String?) -> [UInt8] {
        base64.flatMap { Data(base64Encoded: $0) }.map { Array($0) } ?? Array(path.utf8)
    }
}
