internal import Foundation
internal import Glibc
internal import Media
internal import SystemCalls

extension InputPath {
    /// Opens the recording at this path; standard input is copied to a temporary file first.
    func open(cancellation: Cancellation) throws -> RecordingFile {
        try isStandardInput
            ? StandardInputFile.open(limit: StandardInputFile.defaultLimit, cancellation: cancellation)
            : RecordingFile(path: absolute.bytes)
    }
}

/// Copies standard input to an unnamed temporary file, since demuxers must seek: an MP4's index may be at its end.
enum StandardInputFile {
    /// Largest recording that is copied by default: 64 GiB.
    static let defaultLimit: Int64 = 64 << 30

    /// Copies standard input to its end, at most `limit` bytes, into TMPDIR (`/tmp` by default).
    ///
    /// - Throws: `MediaError` `cannot_read`, or `limit_reached` if the input is longer; `Failure` `io` if the file
    ///   cannot be created, `no_space` if writing to it fails; `LongtakeError` `interrupted`.
    static func open(limit: Int64, cancellation: Cancellation) throws -> RecordingFile {
        let folder = NSTemporaryDirectory()
        var template = Array((folder + "/longtake-XXXXXX").utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw Failure(
                code: "io", message: "cannot create a temporary file in \(folder): \(SystemError.last)",
                exitCode: Exit.space)
        }
        // Without a name the file disappears when it is closed, even if this process is killed.
        unlink(template)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        do {
            try copy(to: descriptor, in: folder, limit: limit, cancellation: cancellation)
        } catch {
            close(descriptor)
            throw error
        }
        return try RecordingFile(descriptor: descriptor, name: "")
    }

    private static func copy(
        to descriptor: Int32, in folder: String, limit: Int64, cancellation: Cancellation
    ) throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var total: Int64 = 0
        while true {
            let got: Int
            do {
                got = try buffer.withUnsafeMutableBytes { try FileBytes.read(STDIN_FILENO, $0, cancellation) }
            } catch let error as SystemError {
                throw MediaError(code: .cannotRead, message: "cannot read standard input: \(error)")
            }
            if got == 0 { return }
            total += Int64(got)
            guard total <= limit else {
                throw MediaError(
                    code: .limitReached,
                    message: "standard input is longer than \(limit) bytes; save it to a file first")
            }
            do {
                try buffer.withUnsafeBytes {
                    try SystemCall.writeAll(descriptor, UnsafeRawBufferPointer(rebasing: $0[..<got]))
                }
            } catch {
                throw Failure(
                    code: "no_space",
                    message:
                        "no space in \(folder) for standard input after \(total) bytes; set TMPDIR to another folder",
                    exitCode: Exit.space)
            }
        }
    }
}
