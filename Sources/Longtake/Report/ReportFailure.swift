/// A file that could not be indexed or asked about, as a report shows it.
package struct ReportFailure: Sendable, Encodable {
    /// The file's path.
    package let path: String
    /// Code and text of the error.
    package let error: String
    /// True if it failed in the run that the report is about; false: in an earlier one.
    package let isNew: Bool
    /// How often it was tried without change; nil: it is not tried again.
    package let tries: Int?
    /// When it is tried again, RFC 3339; nil: when it changes.
    package let next: String?

    /// A failure from its values.
    package init(path: String, error: String, isNew: Bool, tries: Int? = nil, next: String? = nil) {
        (self.path, self.error, self.isNew, self.tries, self.next) = (path, error, isNew, tries, next)
    }

    private enum CodingKeys: String, CodingKey {
        case path, error, tries, next
        case isNew = "new"
    }
}
