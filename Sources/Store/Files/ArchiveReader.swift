import Glibc
import SystemCalls

/// Reads checked archives, one or several after another, from a file or pipe.
///
/// It knows of tar what a checked archive contains: headers of regular files without a folder, their content, two empty
/// blocks. Anything else is refused before `tar` sees it.
package final class ArchiveReader {
    /// One file of an archive.
    package struct Entry: Sendable, Equatable {
        /// The file's name.
        package let name: String
        /// The file's size.
        package let bytes: Int64
    }

    static let blockBytes = 512
    /// Most files of an archive.
    static let maxEntries = 1 << 16

    /// What messages call the archive: its path, or "standard input".
    package let name: String
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    private var unread = 0..<0
    /// False while only a part of an archive has been read, and after an error in the middle of one.
    package internal(set) var isBetweenArchives = true
    /// Called five times a second while a pipe has nothing to read; what it throws ends the reading.
    package var whileWaiting: () throws -> Void = {}

    /// Reads from an open file or pipe, which the caller closes after the last use of the reader.
    package init(descriptor: Int32, name: String) {
        (self.descriptor, self.name, ownsDescriptor) = (descriptor, name, false)
    }

    /// Opens a regular file; throws `StoreError` `.notFound`, `.damaged` for another kind of file, `.io`.
    package init(path: String) throws {
        let descriptor = try Posix.open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
        do {
            let status = try Posix.status(descriptor, path: path)
            if let kind = FileKind.name(ofOther: status.st_mode) {
                throw StoreError.damagedArchive(path, "it is \(kind)")
            }
        } catch {
            close(descriptor)
            throw error
        }
        (self.descriptor, name, ownsDescriptor) = (descriptor, path, true)
    }

    deinit {
        buffer.deallocate()
        if ownsDescriptor { close(descriptor) }
    }

    /// Returns true if nothing is left to read.
    package func isAtEnd() throws -> Bool {
        guard unread.isEmpty else { return false }
        var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let count = poll(&ready, 1, 200)
            // If waiting fails, the read reports the error.
            guard count == 0 || count < 0 && errno == EINTR else { break }
            try whileWaiting()
        }
        do {
            unread = 0..<(try SystemCall.read(descriptor, buffer))
        } catch {
            throw StoreError.system(error, "read", name)
        }
        return unread.isEmpty
    }

    /// Returns an error that says what is wrong with the archive.
    func damaged(_ reason: String) -> StoreError { .damagedArchive(name, reason) }

    /// Reads the files of the next archive up to its second empty block, and returns them.
    ///
    /// - Parameter accept: called before the content of each file; what it throws ends the reading.
    /// - Parameter sink: gets all bytes, in order.
    func readFiles(
        accept: (Entry) throws -> Void, sink: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> [Entry] {
        if try isAtEnd() { throw damaged("it is empty") }
        isBetweenArchives = false
        var entries: [Entry] = []
        var names: Set<String> = []
        while true {
            let header = try block(after: entries.last)
            if header.allSatisfy({ $0 == 0 }) {
                guard try block(after: entries.last).allSatisfy({ $0 == 0 }) else {
                    throw damaged("its end is missing")
                }
                guard !entries.isEmpty else { throw damaged("it holds no file") }
                try (header + header).withUnsafeBytes(sink)
                return entries
            }
            let entry = try entry(header)
            guard names.insert(entry.name).inserted else { throw damaged("\(entry.name) is in it twice") }
            guard entries.count < Self.maxEntries else { throw damaged("it holds more than \(Self.maxEntries) files") }
            try accept(entry)
            try header.withUnsafeBytes(sink)
            entries.append(entry)
            var left = (Int(entry.bytes) + Self.blockBytes - 1) / Self.blockBytes * Self.blockBytes
            while left > 0 {
                if try isAtEnd() { throw damaged("it ends in the middle of \(entry.name)") }
                let piece = unread.prefix(left)
                try sink(UnsafeRawBufferPointer(rebasing: buffer[piece]))
                unread = piece.upperBound..<unread.upperBound
                left -= piece.count
            }
        }
    }

    /// Reads one block.
    func block(after entry: Entry?) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < Self.blockBytes {
            if try isAtEnd() {
                throw damaged(entry.map { "it ends after \($0.name)" } ?? "it is no archive of an index")
            }
            let piece = unread.prefix(Self.blockBytes - bytes.count)
            bytes += buffer[piece]
            unread = piece.upperBound..<unread.upperBound
        }
        return bytes
    }

    /// Parses the header of a file: POSIX.1-1988, "ustar Interchange Format".
    private func entry(_ header: [UInt8]) throws -> Entry {
        func octal(_ range: Range<Int>) -> Int64? {
            let digits = header[range].prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
            guard digits.count < 12, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }) else {
                return nil
            }
            return Int64(String(decoding: digits, as: UTF8.self), radix: 8)
        }
        let sum = header.enumerated().reduce(Int64(0)) { sum, byte in
            sum + Int64((148..<156).contains(byte.offset) ? UInt8(ascii: " ") : byte.element)
        }
        guard octal(148..<156) == sum else { throw damaged("it is no archive of an index, or a header is damaged") }
        let text = header[..<100].prefix { $0 != 0 }
        let name = String(decoding: text, as: UTF8.self)
        let shown = name.debugDescription
        if let kind = Self.kinds[header[156]] { throw damaged("\(shown) in it is \(kind)") }
        guard header[156] == UInt8(ascii: "0") else { throw damaged("\(shown) in it is of an unknown kind") }
        guard Self.isPlain(text), header[345..<500].allSatisfy({ $0 == 0 }) else {
            throw damaged("\(shown) in it is not the name of a file of an index")
        }
        guard header[257..<265].elementsEqual("ustar\u{0}00".utf8), header[157..<257].allSatisfy({ $0 == 0 }),
            octal(100..<108) == 0o600, let bytes = octal(124..<136)
        else { throw damaged("the header of \(shown) is not one that this program writes") }
        return Entry(name: name, bytes: bytes)
    }

    private static let kinds: [UInt8: String] = [
        UInt8(ascii: "1"): "a hard link", UInt8(ascii: "2"): "a symbolic link", UInt8(ascii: "3"): "a device",
        UInt8(ascii: "4"): "a device", UInt8(ascii: "5"): "a folder", UInt8(ascii: "6"): "a named pipe",
        UInt8(ascii: "L"): "a long name", UInt8(ascii: "K"): "a long link", UInt8(ascii: "S"): "a sparse file",
        UInt8(ascii: "x"): "an extended header", UInt8(ascii: "g"): "a global header",
    ]

    /// Returns true for a name that every tool takes for that of a file in the current folder.
    static func isPlain(_ name: some Collection<UInt8>) -> Bool {
        guard let first = name.first, first != UInt8(ascii: "."), first != UInt8(ascii: "-"), name.count <= 100 else {
            return false
        }
        return name.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }
}
