import Longtake

/// Incorrect usage; exit status 64.
struct UsageError: Error, CustomStringConvertible {
    let description: String
    /// The `error` in JSON.
    let code: String

    init(_ description: String, code: String = "usage") {
        self.description = description
        self.code = code
    }

    var failure: Failure { Failure(code: code, message: description, exitCode: Exit.usage) }
}
