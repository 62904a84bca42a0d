internal import Checkpoints

/// The name of a model on a hub: `org/name` or `org/name@revision`.
package struct HubName: Sendable, Equatable, CustomStringConvertible {
    /// "org/name", or "name" for some old models.
    package let repository: String
    /// A branch, a tag or a commit; "main" if the name has none.
    package let revision: String

    /// Parses a name.
    ///
    /// - Throws: `HubError` `bad_model_name`.
    package init(_ text: String) throws {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        let revision = parts.count == 2 ? String(parts[1]) : "main"
        let repository = String(parts.first ?? "")
        guard repository.utf8.count <= 200, TowerFolder.isHubID(repository), Self.isRevision(revision) else {
            throw HubError(
                .badName,
                "\"\(text)\" is not the name of a model on a hub; use ORGANIZATION/NAME or ORGANIZATION/NAME@REVISION")
        }
        self.repository = repository
        self.revision = revision
    }

    /// The name with its revision, unless that is "main".
    package var description: String { revision == "main" ? repository : "\(repository)@\(revision)" }

    /// The folder in a hub cache: "models--org--name".
    var folder: String { "models--" + repository.split(separator: "/").joined(separator: "--") }

    /// True if the revision is a full commit hash.
    var isCommit: Bool { Self.isHash(revision, digits: 40) }

    /// A revision is a path below `refs`; "refs/pr/1" is one.
    private static func isRevision(_ text: String) -> Bool {
        (1...200).contains(text.utf8.count)
            && text.split(separator: "/", omittingEmptySubsequences: false)
                .allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && !$0.hasPrefix("-") }
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2b, 0x2d, 0x2e, 0x2f, 0x5f: true
                default: false
                }
            }
    }

    /// True for `digits` lowercase hexadecimal digits.
    static func isHash(_ text: String, digits: Int) -> Bool {
        text.utf8.count == digits
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
