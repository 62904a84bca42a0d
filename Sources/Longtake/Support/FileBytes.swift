internal import Foundation
internal import Glibc
internal import SystemCalls

/// Reads a file or a pipe in pieces; a cancellation ends every wait.
final class FileBytes {
    let name: String
    private let descriptor: Int32
    private let isOwn: Bool
    private let cancellation: Cancellation

    /// Opens a file; "-" is standard input. Reading a named pipe waits for its writer until cancelled.
    ///
    /// - Throws: `LongtakeError` `bad_request` if the file cannot be opened.
    init(path: String, cancellation: Cancellation) throws {
        name = path == "-" ? "standard input" : path
        self.cancellation = cancellation
        // Without O_NONBLOCK, opening a named pipe would wait for its writer and could not be cancelled.
        isOwn = path != "-"
        do {
            descriptor = try isOwn ? SystemCall.open(path, O_RDONLY | O_NONBLOCK) : STDIN_FILENO
        } catch {
            throw Self.unreadable(name, error)
        }
    }

    /// Reads an open file from its current offset; the owner of the descriptor closes it.
    init(descriptor: Int32, name: String, cancellation: Cancellation) {
        (self.descriptor, self.name, self.cancellation) = (descriptor, name, cancellation)
        isOwn = false
    }

    deinit { if isOwn { close(descriptor) } }

    /// Returns the next bytes, at most 64 KiB; empty at the end.
    ///
    /// - Throws: `LongtakeError` `interrupted`, `bad_request` if the file cannot be read.
    func next() throws -> [UInt8] {
        do {
            return try [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, filled in
                filled = try Self.read(descriptor, UnsafeMutableRawBufferPointer(buffer), cancellation)
            }
        } catch let error as SystemError {
            throw Self.unreadable(name, error)
        }
    }

    /// Returns all bytes; nil if there are more than `limit`.
    func all(limit: Int) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        while true {
            let piece = try next()
            if piece.isEmpty { return bytes }
            guard bytes.count + piece.count <= limit else { return nil }
            bytes += piece
        }
    }

    /// Waits until there is something to read, then reads once; returns 0 at the end.
    ///
    /// - Throws: `LongtakeError` `interrupted`, `SystemError`.
    static func read(
        _ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, _ cancellation: Cancellation
    ) throws -> Int {
        while true {
            try waitUntilReadable(descriptor, cancellation)
            do {
                return try SystemCall.read(descriptor, buffer)
            } catch  where error.number == EAGAIN {
                // Another process has read what was there.
                continue
            }
        }
    }

    /// Waits until a read would not block.
    ///
    /// Polls in steps of 200 ms: a signal between the check for cancellation and poll(2) would otherwise be lost.
    private static func waitUntilReadable(_ descriptor: Int32, _ cancellation: Cancellation) throws {
        while true {
            try cancellation.check()
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            // A descriptor that cannot be polled is reported by the read.
            if poll(&waiting, 1, 200) > 0 { return }
        }
    }

    private static func unreadable(_ name: String, _ error: SystemError) -> LongtakeError {
        LongtakeError(code: .badRequest, message: "\(name): cannot be read: \(error)")
    }
}

/// The lines of a file; lines longer than `limit` bytes are skipped and counted.
struct FileLines {
    private let source: FileBytes
    private let limit: Int
    private var buffer: [UInt8] = []
    private var start = 0
    /// There is no line break before this index.
    private var looked = 0
    private var isOver = false
    /// True while skipping the rest of a line longer than the limit.
    private var isDropping = false
    private(set) var tooLong = 0
    /// True if the last returned line ended with a line break.
    private(set) var isWhole = true

    init(_ source: FileBytes, limit: Int) {
        (self.source, self.limit) = (source, limit)
    }

    /// Returns the next line without its line break; nil after the last one.
    mutating func next() throws -> ArraySlice<UInt8>? {
        while true {
            if let end = lineBreak() {
                let line = buffer[start..<end]
                start = end + 1
                looked = start
                isWhole = true
                if isDropping || line.count > limit {
                    (isDropping, tooLong) = (false, tooLong + 1)
                    continue
                }
                return line
            }
            if isOver {
                guard start < buffer.count || isDropping else { return nil }
                defer { (start, isDropping) = (buffer.count, false) }
                isWhole = false
                guard !isDropping else {
                    tooLong += 1
                    return nil
                }
                return buffer[start...]
            }
            buffer.removeSubrange(..<start)
            (start, looked) = (0, buffer.count)
            if buffer.count > limit {
                (buffer, looked) = ([], 0)
                isDropping = true
            }
            let piece = try source.next()
            isOver = piece.isEmpty
            buffer += piece
        }
    }

    private func lineBreak() -> Int? {
        buffer.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, looked < bytes.count,
                let found = memchr(base + looked, 0x0A, bytes.count - looked)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }
}
