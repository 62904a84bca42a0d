/// An error that makes a model folder unusable.
///
/// `code` is stable; `message` names the cause, the limit and the next step.
public struct CheckpointError: Error, CustomStringConvertible, Sendable, Equatable {
    /// Stable identifiers for programs.
    public enum Code: String, Sendable, CaseIterable {
        case folderMissing = "folder_missing"
        case notDownloaded = "not_downloaded"
        case configMissing = "config_missing"
        case configInvalid = "config_invalid"
        case configOutOfRange = "config_out_of_range"
        case modelTypeUnknown = "model_type_unknown"
        case unsupported = "unsupported"
        case ropeTypeUnknown = "rope_type_unknown"
        case towerMissing = "tower_missing"
        case tensorMissing = "tensor_missing"
        case tensorUnexpected = "tensor_unexpected"
        case tensorShape = "tensor_shape"
        case tensorType = "tensor_type"
        case notEnoughMemory = "not_enough_memory"
        case notEnoughDisk = "not_enough_disk"
        case folderNotEmpty = "folder_not_empty"
        case writeFailed = "write_failed"
    }

    /// The stable identifier.
    public let code: Code
    /// What is wrong, the limit and the next step, in one line.
    public let message: String

    /// An error with its identifier and its message.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}

/// Every message of this folder, in the order of the codes.
extension CheckpointError {
    static func folderMissing(_ path: String) -> Self {
        .init(.folderMissing, "\(path): no such model folder")
    }
    static func configMissing(_ file: String) -> Self {
        .init(.configMissing, "\(file): no such file; a model folder needs one: fetch the model again")
    }
    static func configInvalid(_ file: String, _ what: String) -> Self {
        .init(.configInvalid, "\(file): \(what)")
    }
    static func keyMissing(_ file: String, _ key: String) -> Self {
        .init(.configInvalid, "\(file): \(key) is missing")
    }
    static func keyType(_ file: String, _ key: String, _ wanted: String) -> Self {
        .init(.configInvalid, "\(file): \(key) must be \(wanted)")
    }
    static func outOfRange(_ file: String, _ key: String, _ value: String, _ range: String) -> Self {
        .init(.configOutOfRange, "\(file): \(key) is \(value), it must be \(range)")
    }
    static func unsupported(_ file: String, _ key: String, _ value: String, _ supported: String) -> Self {
        .init(.unsupported, "\(file): \(key) is \(value), which is not supported; use \(supported)")
    }
    package static func alreadyQuantized(_ folder: String) -> Self {
        .init(.unsupported, "\(folder): is quantized already; quantize the folder it was made from")
    }
    /// The output `folder` is inside the folder `source` that is read.
    package static func outputInside(_ folder: String, _ source: String) -> Self {
        .init(.folderNotEmpty, "\(folder): is inside \(source), the folder that is read; choose a folder outside of it")
    }
    /// - Parameter method: `quant_method`; nil if absent.
    static func quantizedByOther(_ file: String, _ method: String?) -> Self {
        .init(
            .unsupported,
            "\(file): its weights were quantized by \(method.map { "\"\($0)\"" } ?? "an unnamed method"), which is not "
                + "supported; fetch the model in 16 bits, which can be quantized here")
    }
    static func ropeTypeUnknown(_ file: String, _ type: String) -> Self {
        .init(
            .ropeTypeUnknown,
            "\(file): unknown rope_scaling type \"\(type)\"; supported are default and llama3")
    }
    static func towerMissing(_ folder: String, tower: String, tried: [String]) -> Self {
        .init(
            .towerMissing,
            "\(folder): its vision tower \"\(tower)\" is not on this machine (tried "
                + tried.joined(separator: ", ") + "); fetch it, or copy it into the folder as vision_tower")
    }
    /// `one` and `many` are the predicates for one tensor and for several.
    static func tensors(_ code: Code, _ folder: String, _ one: String, _ many: String, _ list: [String]) -> Self {
        let shown = list.prefix(10).joined(separator: ", ")
        let more = list.count > 10 ? " and \(list.count - 10) more" : ""
        return .init(code, "\(folder): \(counted(list.count, "tensor \(one)", "tensors \(many)")): \(shown)\(more)")
    }
    /// `names` are the minima that 4-bit matrices lack.
    static func withoutMinima(_ folder: String, _ names: [String]) -> Self {
        let fault = tensors(.tensorMissing, folder, "is missing", "are missing", names)
        return .init(
            fault.code,
            "\(fault.message); 4-bit weights need a minimum per group: quantize the folder they were made from again")
    }
    static func notEnoughMemory(_ what: String, needed: Int64, available: Int64, limit: String) -> Self {
        .init(
            .notEnoughMemory,
            "\(what) needs about \(gigabytes(needed)) of memory, \(gigabytes(available)) is available (\(limit)); "
                + "choose a smaller precision or free memory")
    }
    /// The file system of `folder` has `free` bytes; the model needs `needed`.
    package static func notEnoughDisk(_ folder: String, needed: Int64, free: Int64) -> Self {
        .init(
            .notEnoughDisk,
            "\(folder): writing the model needs \(gigabytes(needed)), its file system has \(gigabytes(free)) free")
    }
    static func folderNotEmpty(_ folder: String, _ what: String) -> Self {
        .init(.folderNotEmpty, "\(folder): \(what); choose a new or an empty folder")
    }
    static func writeFailed(_ file: String, _ step: String, _ reason: String) -> Self {
        .init(.writeFailed, "\(file): \(step) failed: \(reason)")
    }

    /// Formats bytes as MB or GB (powers of 1000), rounded to two decimals.
    static func gigabytes(_ bytes: Int64) -> String {
        let (size, unit) = abs(bytes) < 1_000_000_000 ? (1e6, "MB") : (1e9, "GB")
        let hundredths = (Double(bytes) / size * 100).rounded() / 100
        return "\(hundredths) \(unit)"
    }
}
