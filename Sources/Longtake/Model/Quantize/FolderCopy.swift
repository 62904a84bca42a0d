internal import Checkpoints
internal import Foundation

/// Writes a new model folder from one that is read: outside of it, under its name only when it is complete.
struct FolderCopy {
    /// The folder that is read.
    let source: CheckpointFolder

    /// Bytes reserved for headers and file system.
    private static let headerBytes: Int64 = 32 << 20

    /// Calls `body` with a partial folder for `out` and gives it that name afterwards; an error leaves no files.
    ///
    /// - Throws: `CheckpointError` `folder_not_empty` or `write_failed`, and what `body` throws.
    func write<Result>(to out: String, _ body: (PartialFolder) throws -> Result) throws -> Result {
        try checkIsOutside(out)
        let parent = URL(fileURLWithPath: out).deletingLastPathComponent().path
        try? FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        let partial = try PartialFolder(for: out)
        do {
            let result = try body(partial)
            try partial.finish()
            return result
        } catch {
            partial.remove()
            throw error
        }
    }

    /// Throws `not_enough_disk` unless `bytes` of tensors and files fit on the disk of `partial`.
    ///
    /// - Parameter free: bytes free on the disk; nil reads them.
    static func checkSpace(_ bytes: Int64, for out: String, in partial: PartialFolder, free: Int64?) throws {
        let needed = bytes + headerBytes
        let available = try free ?? partial.freeBytes()
        guard needed <= available else {
            throw CheckpointError.notEnoughDisk(out, needed: needed, free: available)
        }
    }

    /// config.json with other values for some keys.
    static func config(_ bytes: [UInt8], setting values: [String: JSONValue]) throws -> String {
        var members = try JSONValue(parsing: bytes).objectValue ?? [:]
        members.merge(values) { _, new in new }
        return JSONValue.object(members).text(indented: true) + "\n"
    }

    /// Refuses a folder inside the one that is read: its files would be copied into themselves.
    private func checkIsOutside(_ out: String) throws {
        var parent = URL(fileURLWithPath: out).standardizedFileURL.deletingLastPathComponent()
        while parent.path != "/", FolderPath.real(parent.path) == nil { parent.deleteLastPathComponent() }
        guard let inside = FolderPath.real(source.path), let outside = FolderPath.real(parent.path) else { return }
        guard outside != inside, !outside.hasPrefix(inside + "/") else {
            throw CheckpointError.outputInside(out, source.path)
        }
    }
}
