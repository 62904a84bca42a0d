import Glibc

/// A system call that failed.
package struct SystemError: Error, CustomStringConvertible, Equatable, Sendable {
    /// The `errno` of the call.
    package let number: Int32

    /// Creates an error from an `errno`.
    package init(_ number: Int32) { self.number = number }

    /// The error of the call that just failed.
    package static var last: SystemError { SystemError(errno) }

    /// The system's text for the number, for example "No such file or directory".
    package var description: String {
        // strerror is not thread-safe; the XSI strerror_r is.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { text in
            guard let start = text.baseAddress, strerror_r(number, start, text.count) == 0 else {
                return "error \(number)"
            }
            return String(cString: start)
        }
    }
}
