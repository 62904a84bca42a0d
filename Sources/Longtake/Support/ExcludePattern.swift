internal import Glibc

/// A pattern as in .gitignore: a name, or with a slash a path below the given folder.
///
/// `**` between slashes matches any number of folders, including zero.
struct ExcludePattern {
    /// The parts between slashes; nil for `**`.
    private let parts: [[CChar]?]
    private let isPath: Bool
    private let onlyFolders: Bool

    /// Parses a pattern; nil if it is empty.
    init?(_ bytes: [UInt8]) {
        let slash = UInt8(ascii: "/")
        let stars = [UInt8](repeating: UInt8(ascii: "*"), count: 2)
        onlyFolders = bytes.last == slash
        let inner = onlyFolders ? bytes.dropLast() : bytes[...]
        guard inner.contains(where: { $0 != slash }), !inner.contains(0) else { return nil }
        isPath = inner.contains(slash)
        var parts: [[CChar]?] = []
        for name in Self.names(inner) {
            if !name.elementsEqual(stars) {
                parts.append(Self.terminated(name))
            } else if parts.isEmpty || parts.last != .some(nil) {
                parts.append(nil)
            }
        }
        // A trailing `**` matches the contents of a folder, not the folder.
        if parts.last == .some(nil) { parts.insert(Self.terminated([UInt8(ascii: "*")]), at: parts.count - 1) }
        self.parts = parts
    }

    /// Returns the parts between slashes, without ".".
    private static func names(_ path: some Collection<UInt8>) -> [ArraySlice<UInt8>] {
        Array(path).split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual([UInt8(ascii: ".")]) }
    }

    private static func terminated(_ bytes: some Sequence<UInt8>) -> [CChar] {
        bytes.map { CChar(bitPattern: $0) } + [0]
    }

    /// Returns true if the pattern matches.
    ///
    /// - Parameter path: a path below the given folder, or the path as it was given.
    func matches(_ path: some Collection<UInt8>, isFolder: Bool) -> Bool {
        guard isFolder || !onlyFolders else { return false }
        let names = Self.names(path)
        return fits((isPath ? names[...] : names.suffix(1)).map(Self.terminated))
    }

    /// Backtracks only to the last `**`, so the cost is at most names × parts.
    private func fits(_ names: [[CChar]]) -> Bool {
        var (part, name) = (0, 0)
        var lastStars: (part: Int, name: Int)?
        while name < names.count {
            if part < parts.count, parts[part] == nil {
                part += 1
                lastStars = (part, name)
            } else if part < parts.count, let pattern = parts[part], fnmatch(pattern, names[name], FNM_PATHNAME) == 0 {
                (part, name) = (part + 1, name + 1)
            } else if let last = lastStars {
                lastStars = (last.part, last.name + 1)
                (part, name) = (last.part, last.name + 1)
            } else {
                return false
            }
        }
        return parts[part...].allSatisfy { $0 == nil }
    }
}
