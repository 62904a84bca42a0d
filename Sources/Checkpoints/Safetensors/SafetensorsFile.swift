public import Tensors

/// A safetensors file, mapped read-only; its tensors point into the mapping and keep it alive.
///
/// Nothing is copied, so a file larger than memory opens at once. Values are not checked
/// (`StoredTensor.countNonFinite()` does that).
public final class SafetensorsFile: WeightsFile {
    /// The file's path as given.
    public let path: String
    /// The tensors by name.
    public let tensors: [String: StoredTensor]
    /// Tensor names in the order of their data.
    public let names: [String]
    /// Size of the file in bytes.
    public let fileBytes: Int
    /// Bytes of tensor data.
    public let dataBytes: Int
    private let headerBytes: Int
    private let file: MappedFile

    /// Maps and validates the file at `path`; throws `WeightsError`.
    public init(path: String) throws {
        let file = try MappedFile(path: path)
        let fileBytes = file.bytes.count
        let first = try file.copy(from: 0, count: min(8, fileBytes))
        let length = try SafetensorsHeader.length(firstBytes: first, fileBytes: fileBytes, file: path)
        let header = try SafetensorsHeader(json: file.copy(from: 8, count: length), file: path)
        let start = 8 + length
        let (expected, overflow) = start.addingReportingOverflow(header.dataBytes)
        guard !overflow, expected == fileBytes else {
            throw WeightsError.sizeMismatch(path, bytes: fileBytes, expected: overflow ? Int.max : expected)
        }
        try file.checkUnchanged()
        var tensors: [String: StoredTensor] = [:]
        tensors.reserveCapacity(header.entries.count)
        for entry in header.entries {
            let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[start + entry.begin..<start + entry.end])
            tensors[entry.name] = StoredTensor(
                name: entry.name, type: entry.type, shape: entry.shape, bytes: bytes, owner: file)
        }
        self.path = path
        self.file = file
        self.fileBytes = fileBytes
        self.tensors = tensors
        names = header.entries.map(\.name)
        dataBytes = header.dataBytes
        headerBytes = length
    }

    /// Throws `file_changed` if the file's size changed since it was opened: touching a lost page would end the
    /// process.
    public func checkUnchanged() throws { try file.checkUnchanged() }

    /// Bytes that cheaply distinguish this file from others; they point into the mapping and are valid as long as this
    /// object.
    ///
    /// These are the header, both ends (`edge` bytes each) and the first `perTensor` bytes of each tensor.
    public func sample(edge: Int, perTensor: Int) -> [UnsafeRawBufferPointer] {
        let bytes = file.bytes
        let data = bytes[(8 + headerBytes)...]
        let ends = [bytes[..<min(8 + headerBytes, bytes.count)], data.prefix(edge), data.suffix(edge)]
        return (ends + names.compactMap { tensors[$0]?.bytes.prefix(perTensor) }).map {
            UnsafeRawBufferPointer(rebasing: $0)
        }
    }
}
