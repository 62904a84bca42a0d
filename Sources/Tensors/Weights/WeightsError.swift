import Glibc

/// An error reading or writing weights.
///
/// `code` is stable; `message` names the file, the tensor, the limit and the next step.
public struct WeightsError: Error, CustomStringConvertible, Sendable, Equatable {
    /// Stable identifiers for programs.
    public enum Code: String, Sendable, CaseIterable {
        case fileMissing = "file_missing"
        case fileUnreadable = "file_unreadable"
        case fileChanged = "file_changed"
        case fileTooShort = "file_too_short"
        case sizeMismatch = "size_mismatch"
        case headerTooLong = "header_too_long"
        case headerNotObject = "header_not_object"
        case invalidUTF8 = "invalid_utf8"
        case invalidJSON = "invalid_json"
        case duplicateKey = "duplicate_key"
        case tooDeep = "too_deep"
        case tooLarge = "too_large"
        case metadataInvalid = "metadata_invalid"
        case tooManyTensors = "too_many_tensors"
        case nameTooLong = "name_too_long"
        case entryInvalid = "entry_invalid"
        case typeUnknown = "type_unknown"
        case shapeInvalid = "shape_invalid"
        case shapeOverflow = "shape_overflow"
        case rankTooHigh = "rank_too_high"
        case offsetsInvalid = "offsets_invalid"
        case offsetsNotContiguous = "offsets_not_contiguous"
        case tensorSizeMismatch = "tensor_size_mismatch"
        case weightsMissing = "weights_missing"
        case notSafetensors = "not_safetensors"
        case pathRefused = "path_refused"
        case shardMissing = "shard_missing"
        case indexInvalid = "index_invalid"
        case indexMismatch = "index_mismatch"
        case typeUnsupported = "type_unsupported"
        case writeFailed = "write_failed"
        case writeMisuse = "write_misuse"
        case notEnoughMemory = "not_enough_memory"
        case archiveInvalid = "archive_invalid"
        case pickleInvalid = "pickle_invalid"
        case pickleRefused = "pickle_refused"
        case pytorchUnsupported = "pytorch_unsupported"
    }

    /// What is wrong.
    public let code: Code
    /// One line that names the file, the tensor, the limit and the next step.
    public let message: String

    /// An error with a message of its own; those of this target are made by the functions below.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }
}

/// One function per error, named after its code: every message of this target's weights code and of the safetensors and
/// JSON readers.
extension WeightsError {
    package static func fileMissing(_ file: String) -> Self {
        .init(.fileMissing, "\(file): no such file")
    }
    package static func fileUnreadable(_ file: String, _ reason: String) -> Self {
        .init(.fileUnreadable, "\(file): cannot be read: \(reason)")
    }
    /// `mmap` failed with the errno `number`.
    package static func notMapped(_ file: String, bytes: Int, _ number: Int32) -> Self {
        guard number == ENOMEM else { return .fileUnreadable(file, systemText(number)) }
        return .init(
            .notEnoughMemory,
            "\(file): its \(bytes) bytes exceed the memory of this process: \(systemText(number)); raise the limit of "
                + "address space (ulimit -v unlimited, LimitAS= of a systemd unit)")
    }
    package static func fileChanged(_ file: String, was: Int, now: Int) -> Self {
        .init(
            .fileChanged,
            "\(file): changed from \(was) to \(counted(now, "byte")) while it was open; wait until nothing writes to it and load again"
        )
    }
    package static func fileTooShort(_ file: String, bytes: Int) -> Self {
        .init(
            .fileTooShort,
            "\(file): is \(counted(bytes, "byte")), too short for a file of weights; the download is incomplete: fetch it again"
        )
    }
    package static func sizeMismatch(_ file: String, bytes: Int, expected: Int) -> Self {
        let cause =
            bytes < expected
            ? "the download is incomplete: fetch it again" : "it has trailing bytes: it is damaged, fetch it again"
        return .init(.sizeMismatch, "\(file): is \(counted(bytes, "byte")), its header says \(expected); \(cause)")
    }
    /// The header's length field exceeds the file size.
    package static func headerBeyondFile(_ file: String, header: UInt64, bytes: Int) -> Self {
        .init(
            .fileTooShort,
            "\(file): is \(counted(bytes, "byte")) but its header alone says \(header); the download is incomplete: fetch it again"
        )
    }
    package static func headerTooLong(_ file: String, header: UInt64, limit: Int) -> Self {
        .init(
            .headerTooLong,
            "\(file): says its header is \(header) bytes, the limit is \(limit); it is not a safetensors file or is damaged"
        )
    }
    package static func headerNotObject(_ file: String) -> Self {
        .init(
            .headerNotObject,
            "\(file): its header is not a JSON object that begins with '{'; it is damaged: fetch it again")
    }
    package static func metadataInvalid(_ file: String) -> Self {
        .init(.metadataInvalid, "\(file): __metadata__ must map names to strings; it is damaged: fetch it again")
    }
    package static func tooManyTensors(_ file: String, count: Int, limit: Int) -> Self {
        .init(.tooManyTensors, "\(file): has \(count) tensors, the limit is \(limit)")
    }
    package static func nameTooLong(_ file: String, bytes: Int, limit: Int) -> Self {
        .init(.nameTooLong, "\(file): has a tensor name of \(bytes) bytes, the limit is \(limit)")
    }
    package static func entryInvalid(_ file: String, _ tensor: String, _ what: String) -> Self {
        .init(.entryInvalid, "\(file): tensor \(quoted(tensor)): \(what)")
    }
    package static func typeUnknown(_ file: String, _ tensor: String, _ type: String) -> Self {
        .init(.typeUnknown, "\(file): tensor \(quoted(tensor)) has the unknown dtype \(quoted(type))")
    }
    package static func shapeInvalid(_ file: String, _ tensor: String) -> Self {
        .init(.shapeInvalid, "\(file): tensor \(quoted(tensor)): shape must be a list of whole numbers >= 0")
    }
    package static func shapeOverflow(_ file: String, _ tensor: String) -> Self {
        .init(
            .shapeOverflow, "\(file): tensor \(quoted(tensor)): its shape has more bytes than a 64-bit size can count")
    }
    package static func rankTooHigh(_ file: String, _ tensor: String, rank: Int, limit: Int) -> Self {
        .init(.rankTooHigh, "\(file): tensor \(quoted(tensor)) has \(rank) dimensions, the limit is \(limit)")
    }
    package static func offsetsInvalid(_ file: String, _ tensor: String) -> Self {
        .init(
            .offsetsInvalid,
            "\(file): tensor \(quoted(tensor)): data_offsets must be two whole numbers, begin <= end")
    }
    package static func offsetsNotContiguous(_ file: String, _ tensor: String, begin: Int, expected: Int) -> Self {
        let what = begin < expected ? "overlaps the tensor before it" : "leaves a hole before it"
        return .init(
            .offsetsNotContiguous,
            "\(file): tensor \(quoted(tensor)) \(what): it begins at \(begin), expected \(expected)")
    }
    package static func tensorSizeMismatch(_ file: String, _ tensor: String, bytes: Int, expected: Int) -> Self {
        .init(
            .tensorSizeMismatch,
            "\(file): tensor \(quoted(tensor)) has \(counted(bytes, "byte")), its shape and dtype need \(expected)")
    }
    package static func weightsMissing(_ folder: String) -> Self {
        .init(
            .weightsMissing,
            "\(folder): has none of model.safetensors, pytorch_model.bin and their .index.json: fetch the model again")
    }
    package static func notSafetensors(_ folder: String, _ found: String) -> Self {
        .init(
            .notSafetensors,
            "\(folder): has only \(found), a format that can run code when loaded; convert it to model.safetensors first"
        )
    }
    package static func pathRefused(_ folder: String, _ name: String, _ reason: String) -> Self {
        .init(.pathRefused, "\(folder): refuses the file name \(quoted(name)): \(reason)")
    }
    package static func shardMissing(_ folder: String, _ shards: [String]) -> Self {
        .init(
            .shardMissing,
            "\(folder): \(shards.count) of its shards are missing, first \(shards.prefix(5).joined(separator: ", ")): "
                + "fetch the model again")
    }
    package static func indexInvalid(_ file: String, _ what: String) -> Self {
        .init(.indexInvalid, "\(file): \(what)")
    }
    package static func indexMismatch(_ file: String, tensor: String, shard: String) -> Self {
        .init(
            .indexMismatch,
            "\(file): says tensor \(quoted(tensor)) is in \(shard), but that file does not have it; "
                + "index and shards are of different versions: fetch both again")
    }
    package static func typeUnsupported(_ tensor: String, _ type: DType, wanted: String) -> Self {
        .init(
            .typeUnsupported, "tensor \(quoted(tensor)) is stored as \(type.safetensorsName), \(wanted) is needed here")
    }
    package static func writeFailed(_ file: String, _ step: String, _ reason: String) -> Self {
        .init(.writeFailed, "\(file): \(step) failed: \(reason)")
    }
    package static func writeMisuse(_ file: String, _ what: String) -> Self {
        .init(.writeMisuse, "\(file): \(what)")
    }

    /// Quotes a name from a file for a one-line message: control characters escaped, at most 120 characters.
    package static func quoted(_ name: String) -> String {
        var text = "\""
        for scalar in name.unicodeScalars.prefix(120) {
            text += scalar.value < 0x20 || scalar.value == 0x7f ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return text + (name.unicodeScalars.count > 120 ? "…\"" : "\"")
    }
}
