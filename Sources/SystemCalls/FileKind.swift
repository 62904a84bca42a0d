package import Glibc

/// The kind of a file that is not a regular one, for messages.
package enum FileKind {
    /// "a folder", "a named pipe", …; nil for a regular file.
    package static func name(ofOther mode: mode_t) -> String? {
        switch mode & S_IFMT {
        case S_IFREG: nil
        case S_IFDIR: "a folder"
        case S_IFIFO: "a named pipe"
        case S_IFSOCK: "a socket"
        case S_IFLNK: "a symbolic link"
        case S_IFCHR, S_IFBLK: "a device"
        default: "of an unknown kind"
        }
    }
}
