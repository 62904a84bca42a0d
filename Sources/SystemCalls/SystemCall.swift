package import Glibc

/// System calls as all targets make them: restarted after a signal, failures thrown as `SystemError`.
///
/// The sandboxed part of the decode worker makes its own: it may call only what its filter allows.
package enum SystemCall {
    /// Opens a file close-on-exec and returns its descriptor.
    ///
    /// - Parameter mode: the permissions of a file that `O_CREAT` creates.
    package static func open(
        _ path: UnsafePointer<CChar>, _ flags: Int32, mode: mode_t = 0o600
    ) throws(SystemError) -> Int32 {
        Int32(try restarting { Int(Glibc.open(path, flags | O_CLOEXEC, mode)) })
    }

    /// Reads once at the file offset; returns the number of bytes, 0 only at the end of the file.
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

    /// Writes once at the file offset; returns the number of bytes, at least 1 if there are any.
    package static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int {
        let wrote = try restarting { Glibc.write(descriptor, bytes.baseAddress, bytes.count) }
        // A device may accept nothing without an error; trying again would never end.
        guard wrote > 0 || bytes.isEmpty else { throw SystemError(EIO) }
        return wrote
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

    /// Flushes a file to the disk; a failure is final, since the kernel may have dropped the pages.
    package static func sync(_ descriptor: Int32) throws(SystemError) {
        guard fsync(descriptor) == 0 else { throw .last }
    }

    /// Returns the status of an open file.
    package static func status(_ descriptor: Int32) throws(SystemError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .last }
        return status
    }

    /// Returns the status of the file at `path`; links are followed.
    package static func status(of path: UnsafePointer<CChar>) throws(SystemError) -> stat {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .last }
        return status
    }

    /// Returns the status of `path` itself; a link is not followed.
    package static func linkStatus(of path: UnsafePointer<CChar>) throws(SystemError) -> stat {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw .last }
        return status
    }

    /// Returns the names in a folder, in no order and as bytes, without "." and "..".
    package static func names(in folder: UnsafePointer<CChar>) throws(SystemError) -> [[UInt8]] {
        guard let directory = opendir(folder) else { throw .last }
        defer { closedir(directory) }
        var names: [[UInt8]] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
        }
        return names
    }

    /// Repeats a call that a signal interrupted; throws for another failure.
    private static func restarting(_ call: () -> Int) throws(SystemError) -> Int {
        while true {
            let result = call()
            if result >= 0 { return result }
            if errno != EINTR { throw .last }
        }
    }
}
