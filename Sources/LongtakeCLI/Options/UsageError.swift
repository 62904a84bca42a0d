import Longtake

/// An error in the arguments or environment variables; the program exits with status 64 (EX_USAGE of sysexits.h).
struct UsageError: Error, CustomStringConvertible {
    /// The message: what is wrong and what to give instead.
    let description: String
    /// The error code, `error` in JSON output.
    let code: String

    init(_ description: String, code: String = "usage") {
        self.description = description
        self.code = code
    }

    /// This error in the form in which all errors are reported.
    var failure: Failure { Failure(code: code, message: description, exitCode: Exit.usage) }
}
