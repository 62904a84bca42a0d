internal import Glibc

/// A pattern as in .gitignore: a name, or with a slash a path below the folder that was given; `**` goes over slashes.
struct ExcludePattern {
    private let pattern: [CChar]
    private let isPath: Bool
    private let onlyFolders: Bool
    private let flags: Int32

    /// nil for an empty pattern.
    init?(_ bytes: [UInt8]) {
        var bytes = bytes[...]
        onlyFolders = bytes.last == UInt8(ascii: "/")
        if onlyFolders { bytes = bytes.dropLast() }
        let anchored = bytes.first == UInt8(ascii: "/")
        if anchored { bytes = bytes.dropFirst() }
        guard !bytes.isEmpty, !bytes.contains(0) else { return nil }
        let stars = [UInt8](repeating: UInt8(ascii: "*"), count: 2)
        isPath = anchored || bytes.contains(UInt8(ascii: "/"))
        // Without FNM_PATHNAME a star goes over slashes.
        flags = bytes.indices.dropLast().contains { Array(bytes[$0...($0 + 1)]) == stars } ? 0 : FNM_PATHNAME
        // The start **/ also stands for no folder at all.
        if bytes.starts(with: stars + [UInt8(ascii: "/")]) {
            let rest = bytes.dropFirst(3)
            isBelow = ExcludePattern.terminated(rest)
        } else {
            isBelow = nil
        }
        pattern = ExcludePattern.terminated(bytes)
    }

    private let isBelow: [CChar]?

    private static func terminated(_ bytes: some Sequence<UInt8>) -> [CChar] {
        bytes.map { CChar(bitPattern: $0) } + [0]
    }

    /// - Parameter path: below the folder that was given, or as it was given.
    func matches(_ path: some Collection<UInt8>, isFolder: Bool) -> Bool {
        guard isFolder || !onlyFolders else { return false }
        let parts = Array(path).split(separator: UInt8(ascii: "/"))
        let subject =
            isPath ? Self.terminated(path.drop { $0 == UInt8(ascii: "/") }) : Self.terminated(parts.last ?? [])
        if fnmatch(pattern, subject, flags) == 0 { return true }
        return isBelow.map { fnmatch($0, subject, flags) == 0 } ?? false
    }
}
