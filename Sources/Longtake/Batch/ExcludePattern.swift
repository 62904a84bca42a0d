internal import Glibc

/// A pattern as in .gitignore: a name, or with a slash a path below the folder that was given; `**` between slashes stands
/// for any folders, and for none.
struct ExcludePattern {
    /// Between the slashes; nil for `**`.
    private let parts: [[CChar]?]
    private let isPath: Bool
    private let onlyFolders: Bool

    /// nil for an empty pattern.
    init?(_ bytes: [UInt8]) {
        let slash = UInt8(ascii: "/")
        let stars = [UInt8](repeating: UInt8(ascii: "*"), count: 2)
        onlyFolders = bytes.last == slash
        let inner = onlyFolders ? bytes.dropLast() : bytes[...]
        guard inner.contains(where: { $0 != slash }), !inner.contains(0) else { return nil }
        isPath = inner.contains(slash)
        parts = Self.names(inner).map { $0.elementsEqual(stars) ? nil : Self.terminated($0) }
    }

    /// What is between slashes, without "./".
    private static func names(_ path: some Collection<UInt8>) -> [ArraySlice<UInt8>] {
        Array(path).split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual([UInt8(ascii: ".")]) }
    }

    private static func terminated(_ bytes: some Sequence<UInt8>) -> [CChar] {
        bytes.map { CChar(bitPattern: $0) } + [0]
    }

    /// - Parameter path: below the folder that was given, or as it was given.
    func matches(_ path: some Collection<UInt8>, isFolder: Bool) -> Bool {
        guard isFolder || !onlyFolders else { return false }
        let names = Self.names(path)
        return Self.fits(parts[...], (isPath ? names[...] : names.suffix(1)).map(Self.terminated)[...])
    }

    private static func fits(_ parts: ArraySlice<[CChar]?>, _ names: ArraySlice<[CChar]>) -> Bool {
        guard let part = parts.first else { return names.isEmpty }
        let rest = parts.dropFirst()
        guard let part else {
            // At the end it stands for what is inside a folder, not for the folder.
            if rest.isEmpty { return !names.isEmpty }
            return names.indices.contains { fits(rest, names[$0...]) }
        }
        guard let name = names.first, fnmatch(part, name, FNM_PATHNAME) == 0 else { return false }
        return fits(rest, names.dropFirst())
    }
}
