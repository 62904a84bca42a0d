package import Glibc

/// Wrappers for system calls: opening, reading and writing retry after EINTR; failures are thrown as `SystemError`.
///
/// The sandboxed part of the decode worker does not use them: it may make only the calls that its seccomp filter
/// allows.
package enum SystemCall {
    /// Opens a file with `O_CLOEXEC` and returns its descriptor, which the caller closes.
    ///
    /// - Parameter mode: the permissions of a file that `O_CREAT` creates.
    package static func open(
        _ path: UnsafePointer<CChar>, _ flags: Int32, mode: mode_t = 0o600
    ) throws(SystemError) -> Int32 {
        Int32(try restarting { Int(Glibc.open(path, flags | O_CLOEXEC, mode)) })
    }

    /// Reads once at the file offset; returns the number of bytes, 0 at the end of the file (or for an empty buffer).
    package static func read(
        _ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer
    ) throws(SystemError) -> Int {
        try restarting { Glibc.read(descriptor, buffer.baseAddress, buffer.count) }
    }

    /// Fills `buffer` from `offset` without moving the file offset; returns less than its size only at the end.
    package static func read(
        _ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(SystemError) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        var done = 0
        while done < buffer.count {
            let got = try restarting {
                Glibc.pread(descriptor, base + done, buffer.count - done, off_t(offset + done))
            }
            if got == 0 { break }
            done += got
        }
        return done
    }

    /// Reads an open file from its file offset to its end; nil if there are more than `limit` bytes.
    package static func contents(_ descriptor: Int32, limit: Int) throws(SystemError) -> [UInt8]? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let got = try restarting { Glibc.read(descriptor, &buffer, buffer.count) }
            if got == 0 { return bytes }
            guard got <= limit - bytes.count else { return nil }
            bytes += buffer.prefix(got)
        }
    }

    /// Writes once at the file offset; returns the number of bytes written, at least 1 unless `bytes` is empty.
    ///
    /// - Throws: `SystemError`; EIO if the call succeeds without writing anything.
    package static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int {
        let written = try restarting { Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
        // A device may write 0 bytes without an error; retrying could loop forever.
        guard written > 0 || bytes.isEmpty else { throw SystemError(EIO) }
        return written
    }

    /// Writes all bytes at the file offset.
    package static func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            done += try write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[done...]))
        }
    }

    /// Writes all bytes at the file offset.
    package static func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(SystemError) {
        try bytes.withUnsafeBufferPointer { bytes throws(SystemError) in
            try writeAll(descriptor, UnsafeRawBufferPointer(bytes))
        }
    }

    /// Flushes a file to the disk.
    ///
    /// Do not retry after a failure: the kernel may have dropped the unwritten pages, and a second call would succeed.
    package static func sync(_ descriptor: Int32) throws(SystemError) {
        guard fsync(descriptor) == 0 else { throw .last }
    }

    /// Returns the status of an open file.
    package static func status(_ descriptor: Int32) throws(SystemError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .last }
        return status
    }

    /// Returns the status of the file at `path`, following symbolic links (`stat`).
    package static func status(of path: UnsafePointer<CChar>) throws(SystemError) -> stat {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .last }
        return status
    }

    /// Returns the status of `path` itself, even if it is a symbolic link (`lstat`).
    package static func linkStatus(of path: UnsafePointer<CChar>) throws(SystemError) -> stat {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .last }
        return status
    }

    /// Returns the names in a folder as bytes, unsorted, without "." and "..".
    ///
    /// Throws if the folder cannot be opened or read to its end.
    package static func names(in folder: UnsafePointer<CChar>) throws(SystemError) -> [[UInt8]] {
        guard let directory = opendir(folder) else { throw .last }
        defer { closedir(directory) }
        var names: [[UInt8]] = []
        while true {
            errno = 0  // readdir returns nil at the end and for an error
            guard let entry = readdir(directory) else { break }
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) { names.append(name) }
        }
        if errno != 0 { throw .last }
        return names
    }

    /// Retries `call` while it fails with EINTR; throws any other failure.
    private static func restarting(_ call: () -> Int) throws(SystemError) -> Int {
        while true {
            let result = call()
            if result >= 0 { return result }
            if errno != EINTR { throw .last }
        }
    }
}
