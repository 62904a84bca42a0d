import ArgumentParser
import Foundation
import Glibc
import Longtake

/// Options for where the units of nightly jobs are.
struct NightlyOptions: ParsableArguments {
    @Flag(help: "Your own units, which run while you are logged in. The default unless you are root.")
    var user = false

    @Flag(help: "The machine's units, in /etc/systemd/system. Needs root, for which it is the default.")
    var system = false

    @Option(help: "Another folder for the units; systemd is not told about it.", completion: .directory)
    var unitDir: String?

    func validate() throws {
        if user, system { throw ValidationError("--user and --system exclude each other") }
    }

    /// The scope that the options name; nil if they name none.
    var named: NightlyJob.Scope? { user ? .user : system ? .system : nil }

    /// The scope to install in or remove from.
    ///
    /// - Throws: `Failure` `not_root` for the machine's folder without root.
    func scope() throws -> NightlyJob.Scope {
        let scope = named ?? (geteuid() == 0 ? .system : .user)
        guard scope == .user || geteuid() == 0 || unitDir != nil else {
            throw Failure(
                code: "not_root", message: "the machine's units need root: run this with sudo, or give --user",
                exitCode: Exit.usage)
        }
        return scope
    }

    func folder(_ scope: NightlyJob.Scope) -> NightlyFolder {
        NightlyFolder(scope, path: unitDir, environment: ProcessInfo.processInfo.environment)
    }
}
