import Glibc
import SystemCalls

/// A regular file, mapped read-only as long as this object lives.
///
/// If the file shrinks, touching a lost page raises SIGBUS and ends the process: do not truncate a checkpoint in place
/// while it is loaded. `checkUnchanged()` detects a changed size before a long computation.
package final class MappedFile: @unchecked Sendable {
    /// The path as given to `init`.
    package let path: String
    /// The mapped file contents, valid while this object lives.
    package let bytes: UnsafeRawBufferPointer
    private let descriptor: Int32
    private let identity: stat

    /// Maps `path`.
    ///
    /// - Throws: `WeightsError` with code `file_missing`, `file_unreadable`, `file_too_short` (an empty file),
    ///   `not_enough_memory` or `file_changed`.
    package init(path: String) throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw errno == ENOENT ? WeightsError.fileMissing(path) : .fileUnreadable(path, systemText(errno))
        }
        var before = stat()
        var failure: WeightsError?
        if fstat(descriptor, &before) != 0 {
            failure = .fileUnreadable(path, systemText(errno))
        } else if before.st_mode & S_IFMT != S_IFREG {
            failure = .fileUnreadable(path, "it is not a regular file")
        } else if before.st_size <= 0 {
            failure = .fileTooShort(path, bytes: 0)
        }
        if let failure {
            close(descriptor)
            throw failure
        }
        let size = Int(before.st_size)
        guard let start = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), start != MAP_FAILED else {
            let number = errno
            close(descriptor)
            throw WeightsError.notMapped(path, bytes: size, number)
        }
        // Weights are read completely: this reads 2 MiB at a time and uses huge pages if the file system keeps them. A
        // kernel without support returns an error, which is harmless.
        madvise(start, size, MADV_HUGEPAGE)
        self.path = path
        self.descriptor = descriptor
        self.bytes = UnsafeRawBufferPointer(start: start, count: size)
        self.identity = before
        try checkUnchanged()
    }

    deinit {
        munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
        close(descriptor)
    }

    /// Throws `file_changed` if the file's size differs from the size mapped.
    package func checkUnchanged() throws {
        var now = stat()
        guard fstat(descriptor, &now) == 0 else { throw WeightsError.fileUnreadable(path, systemText(errno)) }
        guard now.st_size == identity.st_size else {
            throw WeightsError.fileChanged(path, was: bytes.count, now: Int(now.st_size))
        }
    }

    /// Copies `count` bytes at `offset` with `pread`, so that they cannot change after they are validated.
    ///
    /// - Throws: `file_unreadable`, or `file_changed` if the file ends earlier.
    package func copy(from offset: Int, count: Int) throws -> [UInt8] {
        let copied: [UInt8]
        do {
            copied = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                let all = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
                filled = try SystemCall.read(descriptor, all, at: offset)
            }
        } catch {
            throw WeightsError.fileUnreadable(path, "\(error)")
        }
        guard copied.count == count else {
            throw WeightsError.fileChanged(path, was: bytes.count, now: offset + copied.count)
        }
        return copied
    }
}

/// The system's message for an `errno` value; thread-safe.
package func systemText(_ code: Int32) -> String { "\(SystemError(code))" }
