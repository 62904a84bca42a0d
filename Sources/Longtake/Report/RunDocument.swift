internal import Foundation
internal import Store
internal import SystemCalls

/// Writes a text that is made anew as a whole: a digest or a report.
package enum RunDocument {
    /// Replaces the file at `path`, or creates it and its folder; readers see the old or the new text.
    ///
    /// - Parameter what: what the text is, for messages.
    /// - Throws: `Failure` `cannot_write`; `LongtakeError` `bad_request` if something else than a regular file is there.
    package static func write(_ text: String, to path: String, what: String) throws {
        let folder = (path as NSString).deletingLastPathComponent
        if let status = try? SystemCall.status(of: path), let kind = FileKind.name(ofOther: status.st_mode) {
            throw LongtakeError(
                code: .badRequest, message: "\(path) is \(kind); the \(what) is a regular file that is replaced")
        }
        if !folder.isEmpty {
            try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        do {
            try WholeFile.write(Array(text.utf8), to: path)
        } catch {
            throw Failure.cannotWrite(path, what: "the \(what)", error)
        }
    }
}
