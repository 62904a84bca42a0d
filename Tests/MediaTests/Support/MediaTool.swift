import Foundation
import Glibc
import TestSupport

/// A directory of its own that vanishes with the value.
final class DecodeDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array((NSTemporaryDirectory() + "longtake-decode-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
}

/// The tools of FFmpeg, as a user would call them in a folder.
enum MediaTool {
    static func ffmpeg(_ arguments: [String], in directory: DecodeDirectory) throws {
        try RealTool.ffmpeg(arguments, in: directory.path)
    }

    static func ffprobe(_ arguments: [String], in directory: DecodeDirectory) throws -> String {
        try RealTool.ffprobe(arguments, in: directory.path)
    }
}
