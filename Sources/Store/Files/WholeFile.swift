/// Writes files that are either the old or the new version, whenever the program ends.
public enum WholeFile {
    /// Writes a temporary file beside `path`, flushes it, renames it and flushes the folder.
    ///
    /// Throws `StoreError` `.noSpace`, `.io`.
    public static func write(_ bytes: [UInt8], to path: String) throws {
        try Posix.replace(path, with: bytes, mode: 0o644)
    }
}
