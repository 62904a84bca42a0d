internal import Foundation
internal import Glibc
internal import Media

extension InputPath {
    /// Opens the recording at this path; standard input is copied to a temporary file first.
    func open(cancellation: Cancellation) throws -> RecordingFile {
        try isStandardInput
            ? StandardInputFile.standardInput(limit: StandardInputFile.defaultLimit, cancellation: cancellation)
            : RecordingFile(path: absolute.bytes)
    }
}

/// A recording from a pipe, copied to an unnamed temporary file because containers need seeking.
enum StandardInputFile {
    static let defaultLimit: Int64 = 64 << 30

    static func standardInput(limit: Int64, cancellation: Cancellation) throws -> RecordingFile {
        let folder = NSTemporaryDirectory()
        var template = Array((folder + "/longtake-XXXXXX").utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw Failure(
                code: "io", message: "cannot make a file in \(folder): \(String(cString: strerror(errno)))",
                exitCode: Exit.space)
        }
        unlink(template)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var total: Int64 = 0
        while true {
            do {
                try FileBytes.waitUntilReadable(0, cancellation)
            } catch {
                close(descriptor)
                throw error
            }
            let got = read(0, &buffer, buffer.count)
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else {
                close(descriptor)
                throw MediaError(
                    code: .cannotRead, message: "cannot read standard input: \(String(cString: strerror(errno)))")
            }
            if got == 0 { break }
            total += Int64(got)
            var done = 0
            while done < got, total <= limit {
                let wrote = buffer.withUnsafeBytes {
                    write(descriptor, $0.baseAddress.map { base in base + done }, got - done)
                }
                if wrote < 0, errno == EINTR { continue }
                guard wrote > 0 else {
                    close(descriptor)
                    throw Failure(
                        code: "no_space", message: "no room in \(folder) for standard input after \(total) bytes",
                        exitCode: Exit.space)
                }
                done += wrote
            }
            guard total <= limit else {
                close(descriptor)
                throw MediaError(
                    code: .limitReached,
                    message: "standard input is longer than \(limit) bytes; save it to a file first")
            }
        }
        return try RecordingFile(descriptor: descriptor, name: "")
    }
}
