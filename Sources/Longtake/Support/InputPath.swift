internal import Foundation
internal import Glibc
internal import SystemCalls

/// A path as bytes, which need not be UTF-8.
package struct InputPath: Sendable, Hashable, CustomStringConvertible {
    /// The path's bytes.
    package let bytes: [UInt8]

    /// Creates a path from bytes.
    package init(bytes: [UInt8]) { self.bytes = bytes }
    /// Creates a path from text.
    package init(_ text: String) { bytes = Array(text.utf8) }

    /// The path for display, with invalid UTF-8 replaced.
    package var description: String { String(decoding: bytes, as: UTF8.self) }
    /// True for "-".
    package var isStandardInput: Bool { bytes == [UInt8(ascii: "-")] }

    /// The absolute path without "." and doubled slashes; ".." is kept, since a symbolic link may precede it.
    package var absolute: InputPath {
        guard !isStandardInput else { return self }
        let isRelative = bytes.first != UInt8(ascii: "/")
        return absolute(in: InputPath(isRelative ? FileManager.default.currentDirectoryPath : "/"))
    }

    /// Returns the absolute path, given the working folder.
    func absolute(in folder: InputPath) -> InputPath {
        guard !isStandardInput else { return self }
        let isRelative = bytes.first != UInt8(ascii: "/")
        let whole = isRelative ? folder.bytes + [UInt8(ascii: "/")] + bytes : bytes
        let parts = whole.split(separator: UInt8(ascii: "/")).filter { $0.elementsEqual([UInt8(ascii: ".")]) == false }
        return InputPath(bytes: [UInt8(ascii: "/")] + parts.joined(separator: [UInt8(ascii: "/")]))
    }

    /// The path in base64 if it is not UTF-8, else nil.
    var base64: String? {
        String(validating: bytes, as: UTF8.self) == nil ? Data(bytes).base64EncodedString() : nil
    }

    /// True if a file or folder exists at this path.
    package var exists: Bool { withCString { access($0, F_OK) } == 0 }
    /// True if the path is a folder or a link to one.
    package var isFolder: Bool {
        var status = stat()
        return withCString { stat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    func appending(_ name: [UInt8]) -> InputPath {
        InputPath(bytes: bytes.last == UInt8(ascii: "/") ? bytes + name : bytes + [UInt8(ascii: "/")] + name)
    }

    /// Opens the file at this path and returns its descriptor; ENOENT if the path contains a NUL byte.
    func open(_ flags: Int32) throws(SystemError) -> Int32 {
        guard !bytes.contains(0) else { throw SystemError(ENOENT) }
        return try SystemCall.open(bytes.map { CChar(bitPattern: $0) } + [0], flags)
    }

    /// Calls `body` with the path as a C string; returns nil if the path contains a NUL byte.
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result? {
        guard !bytes.contains(0) else { return nil }
        return (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map(body)
        }
    }
}
