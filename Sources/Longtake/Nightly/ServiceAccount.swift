internal import Foundation
internal import Glibc

/// A user that a job of the machine runs as.
package struct ServiceAccount: Sendable {
    /// Name of the user.
    package let name: String

    /// Names a user, who need not exist.
    package init(name: String) { self.name = name }

    /// True if the machine has this user.
    package var exists: Bool { getpwnam(name) != nil }

    /// True if the user can read a file, or if that cannot be found out; to be asked by root.
    package func canRead(_ path: String) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["runuser", "-u", name, "--", "test", "-r", path]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return true }
        process.waitUntilExit()
        // 1 is test's own answer; anything else is no answer.
        return process.terminationStatus != 1
    }
}
