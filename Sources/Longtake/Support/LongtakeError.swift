/// An error of this target: the request does not fit the recording, the model or the library.
package struct LongtakeError: Error, CustomStringConvertible, Sendable {
    /// The kinds of error.
    package enum Code: String, Sendable {
        /// The folder is not a usable LLaVA-Mini model.
        case unsupportedModel = "unsupported_model"
        /// No recording or index has this name.
        case unknownRecording = "unknown_recording"
        /// No model was given.
        case noModel = "no_model"
        /// A value in the request is invalid.
        case badRequest = "bad_request"
        /// The pipeline file is invalid.
        case badPipeline = "bad_pipeline"
        /// A benchmark's file of questions or answers is invalid.
        case badQuestions = "bad_questions"
        /// The file is still being written.
        case growing = "still_growing"
        /// The file changed while it was read, twice.
        case unstable
        /// The index does not fit on the disk or in the cache.
        case notEnoughDisk = "not_enough_disk"
        /// The run was cancelled.
        case interrupted
        /// The run has used its time limit.
        case timeIsOver = "max_runtime"
    }
    /// The kind of error.
    package let code: Code
    /// The error in one sentence.
    package let message: String
    /// The frames a stopped run has sealed.
    var kept: Failure.Kept?
    /// The next step, if the program that reports the error has an option or command for it.
    let remedy: Remedy?
    /// The message.
    package var description: String { message }

    /// Creates an error with this code and message.
    package init(code: Code, message: String, remedy: Remedy? = nil) {
        self.code = code
        self.message = message
        self.remedy = remedy
    }

    static func growing(_ path: String, age: Double, _ minimum: Double) -> Self {
        .init(
            code: .growing,
            message:
                "\(path): still growing (changed \(Int(saturating: age)) s ago, the minimum age is "
                + "\(Int(saturating: minimum)) s); the next run indexes it")
    }

    static func interrupted(_ path: String, _ what: String, kept: Failure.Kept? = nil) -> Self {
        var error = Self(code: .interrupted, message: "\(path): interrupted; \(what)")
        error.kept = kept
        return error
    }

    static func timeIsOver(_ path: String, _ what: String, kept: Failure.Kept? = nil) -> Self {
        var error = Self(
            code: .timeIsOver, message: "\(path): stopped at the run's time limit; \(what)", remedy: .timeLimit)
        error.kept = kept
        return error
    }

    static func unstable(_ path: String) -> Self {
        .init(
            code: .unstable,
            message: "\(path): changed while it was read; nothing was kept; index it when it is finished")
    }
}
