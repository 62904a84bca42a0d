/// A parse error of a JSON document, with its byte offset.
package struct JSONFault: Error, CustomStringConvertible, Sendable, Equatable {
    /// The category of a fault, for the caller's error code.
    package enum Kind: Sendable, Equatable { case utf8, syntax, duplicateKey, depth, size }

    /// The category.
    package let kind: Kind
    /// The offset in bytes at which reading stopped.
    package let offset: Int
    /// What is wrong there.
    package let reason: String

    /// The offset and the reason in one line, without the file's name.
    package var description: String { "not valid JSON at byte \(offset): \(reason)" }
}
