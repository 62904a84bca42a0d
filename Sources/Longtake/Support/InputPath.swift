internal import Foundation
internal import Glibc

/// A path as the file system has it: bytes, which need not be UTF-8.
public struct InputPath: Sendable, Hashable, CustomStringConvertible {
    public let bytes: [UInt8]

    public init(bytes: [UInt8]) { self.bytes = bytes }
    public init(_ text: String) { bytes = Array(text.utf8) }

    /// For people: invalid UTF-8 replaced.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
    /// "-".
    public var isStandardInput: Bool { bytes == [UInt8(ascii: "-")] }

    /// From the root, without "." and doubled slashes; ".." stays, for links may stand before it.
    public var absolute: InputPath {
        guard !isStandardInput else { return self }
        let isRelative = bytes.first != UInt8(ascii: "/")
        return absolute(in: InputPath(isRelative ? FileManager.default.currentDirectoryPath : "/"))
    }

    /// The same, where the working folder is known.
    func absolute(in folder: InputPath) -> InputPath {
        guard !isStandardInput else { return self }
        let isRelative = bytes.first != UInt8(ascii: "/")
        let whole = isRelative ? folder.bytes + [UInt8(ascii: "/")] + bytes : bytes
        let parts = whole.split(separator: UInt8(ascii: "/")).filter { $0.elementsEqual([UInt8(ascii: ".")]) == false }
        return InputPath(bytes: [UInt8(ascii: "/")] + parts.joined(separator: [UInt8(ascii: "/")]))
    }

    /// Whether there is something of this name.
    public var exists: Bool { withCString { access($0, F_OK) } == 0 }
    /// Whether it is a folder, or a link to one.
    public var isFolder: Bool {
        var status = stat()
        return withCString { stat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    func appending(_ name: [UInt8]) -> InputPath {
        InputPath(bytes: bytes.last == UInt8(ascii: "/") ? bytes + name : bytes + [UInt8(ascii: "/")] + name)
    }

    /// Calls `body` with the path as C has it; nil for a path that C cannot say.
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result? {
        guard !bytes.contains(0) else { return nil }
        return (bytes.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map(body)
        }
    }
}
