import Foundation

/// This program's own file.
enum InstalledProgram {
    /// Absolute path with links resolved; nil if the file was deleted or replaced since the start.
    static let path: String? = {
        guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
            FileManager.default.isExecutableFile(atPath: path)
        else { return nil }
        return path
    }()
}
