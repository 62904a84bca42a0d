internal import Glibc
internal import SystemCalls

/// An error of downloading a model or of the hub cache.
package struct HubError: Error, CustomStringConvertible, Sendable, Equatable {
    /// Stable identifiers for programs.
    package enum Code: String, Sendable, CaseIterable {
        case badName = "bad_model_name"
        case badSetting = "bad_hub_setting"
        case notFound = "model_not_found"
        case accessDenied = "access_denied"
        case notAModel = "not_a_model"
        case notDownloaded = "not_downloaded"
        case network
        case damagedDownload = "damaged_download"
        case notEnoughDisk = "not_enough_disk"
        case writeFailed = "write_failed"
        case locked
        case libraryMissing = "library_missing"
        case interrupted
    }

    /// The stable identifier.
    package let code: Code
    /// What is wrong, the limit and the next step, in one line.
    package let message: String

    /// An error with its identifier and its message.
    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    package var description: String { message }

    /// The error of a file that cannot be written; a full disk has a code of its own.
    static func write(_ path: String, _ error: SystemError) -> Self {
        switch error.number {
        case ENOSPC, EDQUOT, EFBIG:
            .init(
                .notEnoughDisk,
                "\(path): \(error); what is downloaded so far is kept: make room and download the model again")
        default: .init(.writeFailed, "\(path): cannot be written: \(error)")
        }
    }

    static func read(_ path: String, _ error: SystemError) -> Self {
        .init(.writeFailed, "\(path): cannot be read: \(error)")
    }
}
