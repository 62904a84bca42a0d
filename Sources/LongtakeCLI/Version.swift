internal import CStart
internal import Longtake

/// What `longtake --version` prints.
enum Version {
    /// The version and, if known, the commit: "0.1.0 (03f8036a1b2c)".
    static var text: String {
        let commit = String(cString: longtake_commit())
        return commit.isEmpty ? Longtake.version : "\(Longtake.version) (\(commit))"
    }
}
