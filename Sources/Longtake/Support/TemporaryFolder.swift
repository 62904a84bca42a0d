internal import Foundation
internal import Glibc
internal import SystemCalls

/// A folder in TMPDIR (`/tmp` by default) that only this user can read.
struct TemporaryFolder {
    /// Path of the folder.
    let path: String

    /// - Throws: `Failure` `io` if the folder cannot be created.
    init() throws {
        let parent = NSTemporaryDirectory()
        var template = Array((parent + "/longtake-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Failure(
                code: "io", message: "cannot create a temporary folder in \(parent): \(SystemError.last)",
                exitCode: Exit.space)
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes the folder and everything in it, ignoring errors.
    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
