internal import Checkpoints
internal import Hub
internal import Media
internal import Models
internal import Store
internal import Tensors
internal import Tokenizers

/// An error of any layer: a stable code, a message and an exit status. `Failure` is built from it.
///
/// The lower layers do not know exit statuses or each other, so their conformances are here.
protocol CodedError: Error {
    associatedtype Code: RawRepresentable<String>
    /// The raw value is the `code` in the JSON output, stable across versions.
    var code: Code { get }
    /// What is wrong, which limit applies, and the next step.
    var message: String { get }
    /// The next step, if the program that reports the error has an option or command for it.
    var remedy: Remedy? { get }
    /// The exit status, see `Exit`.
    var exitStatus: Int32 { get }
}

extension CodedError {
    /// The code as text.
    var codeText: String { code.rawValue }
    var remedy: Remedy? { nil }
}

extension MediaError: CodedError {
    var exitStatus: Int32 {
        switch code {
        case .worker: 1
        case .processLimit, .cannotWrite: Exit.space
        default: Exit.input
        }
    }
    var remedy: Remedy? {
        switch code {
        case .clipTooShort: .gridSampling
        case .stillImage: .stillImage
        default: nil
        }
    }
}

extension ImageError: CodedError {
    var exitStatus: Int32 { code == .badConfig ? Exit.model : Exit.input }
}

extension StoreError: CodedError {
    var exitStatus: Int32 {
        switch code {
        case .notFound, .notKept: Exit.noCache
        case .locked: Exit.locked
        case .damaged: Exit.damaged
        case .newerFormat, .olderFormat: Exit.model
        case .noSpace, .cacheFull, .io, .unsafeDirectory: Exit.space
        case .badKey: 1
        case .interrupted: Exit.interrupted
        }
    }
    var remedy: Remedy? {
        switch code {
        case .damaged: .repair
        case .olderFormat: .prune
        case .noSpace: .diskSpace
        case .cacheFull: .cacheLimit
        case .notKept: .keepPatches
        default: nil
        }
    }
}

extension CheckpointError: CodedError {
    var exitStatus: Int32 {
        switch code {
        case .notEnoughMemory, .notEnoughDisk, .writeFailed: Exit.space
        case .folderNotEmpty: Exit.usage
        default: Exit.model
        }
    }
    var remedy: Remedy? { code == .notDownloaded ? .downloadModel : nil }
}

extension HubError: CodedError {
    var exitStatus: Int32 {
        switch code {
        case .badName, .badSetting: Exit.usage
        case .notFound, .accessDenied, .notAModel, .notDownloaded: Exit.model
        case .network, .damagedDownload: Exit.download
        case .notEnoughDisk, .writeFailed: Exit.space
        case .locked: Exit.locked
        case .libraryMissing: 1
        case .interrupted: Exit.interrupted
        }
    }
}

extension WeightsError: CodedError {
    var exitStatus: Int32 {
        switch code {
        case .writeFailed, .notEnoughMemory: Exit.space
        default: Exit.model
        }
    }
}

extension ModelError: CodedError {
    var exitStatus: Int32 { code == .contextExceeded ? Exit.refused : Exit.model }
    var remedy: Remedy? {
        switch code {
        case .contextExceeded: .range
        case .notANumber: .checkTensors
        default: nil
        }
    }
}

extension TokenizerError: CodedError {
    var exitStatus: Int32 { code.rawValue.hasPrefix("question") ? Exit.usage : Exit.model }
}

extension ComputeError: CodedError {
    var exitStatus: Int32 { Exit.usage }
    var remedy: Remedy? { code == .libraryFailed ? .backend : nil }
}

extension LongtakeError: CodedError {
    var exitStatus: Int32 {
        switch code {
        case .unsupportedModel, .noModel: Exit.model
        case .unknownRecording: Exit.noCache
        case .badRequest, .badPipeline, .badQuestions: Exit.usage
        case .growing, .unstable: Exit.input
        case .notEnoughDisk: Exit.space
        case .interrupted: Exit.interrupted
        case .timeIsOver: Exit.partial
        }
    }
}
