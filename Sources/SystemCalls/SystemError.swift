import Glibc

/// A system call that failed.
package struct SystemError: Error, CustomStringConvertible, Equatable, Sendable {
    /// The `errno` of the call.
    package let number: Int32

    /// Creates an error from a value of `errno`.
    package init(_ number: Int32) { self.number = number }

    /// The error in this thread's `errno`; valid only right after a failed call, before any other.
    package static var last: SystemError { SystemError(errno) }

    /// The system's text for the number, for example "No such file or directory".
    package var description: String {
        // strerror is not thread-safe. This strerror_r is the XSI one: it fills the buffer and returns 0 or an error.
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let text = buffer.baseAddress, strerror_r(number, text, buffer.count) == 0 else {
                return "errno \(number)"
            }
            return String(cString: text)
        }
    }
}
