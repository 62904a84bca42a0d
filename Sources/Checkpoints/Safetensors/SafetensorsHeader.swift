internal import Tensors

/// A validated safetensors header: the tensors cover the data without gaps or overlaps.
///
/// The caller compares `dataBytes` with the file size. Source: the checks of the safetensors Rust crate, and limits of
/// our own on the number of tensors, their ranks and names, and the nesting of the JSON.
struct SafetensorsHeader {
    /// A tensor's header entry; begin and end are byte offsets into the data.
    struct Entry {
        let name: String
        let type: DType
        let shape: [Int]
        let begin: Int
        let end: Int
    }

    /// Maximum bytes of JSON; the Rust crate's `MAX_HEADER_SIZE`.
    static let lengthLimit = 100_000_000
    /// Maximum number of tensors in a file.
    static let tensorLimit = 100_000
    /// Maximum number of dimensions of a tensor.
    static let rankLimit = 8
    /// Maximum bytes of a tensor's name in UTF-8.
    static let nameLimit = 1024
    /// Maximum nesting of the JSON.
    static let depthLimit = 8

    /// The tensors, sorted by offset.
    let entries: [Entry]
    /// Bytes of tensor data.
    let dataBytes: Int

    /// Decodes the header length in bytes, a little-endian u64 at the start of the file.
    ///
    /// Throws a `WeightsError` if it exceeds `lengthLimit` or the file.
    static func length(firstBytes: [UInt8], fileBytes: Int, file: String) throws -> Int {
        guard firstBytes.count == 8, fileBytes >= 8 else { throw WeightsError.fileTooShort(file, bytes: fileBytes) }
        var length: UInt64 = 0
        for byte in firstBytes.reversed() { length = length << 8 | UInt64(byte) }
        guard length <= UInt64(lengthLimit) else {
            throw WeightsError.headerTooLong(file, header: length, limit: lengthLimit)
        }
        guard length <= UInt64(fileBytes - 8) else {
            throw WeightsError.headerBeyondFile(file, header: length, bytes: fileBytes)
        }
        return Int(length)
    }

    /// Parses and validates the header's JSON; throws a `WeightsError` that names the file and the tensor.
    init(json: [UInt8], file: String) throws {
        guard json.first == UInt8(ascii: "{") else { throw WeightsError.headerNotObject(file) }
        // A tensor has at most 14 values: its object, 3 members, 8 dimensions and 2 offsets. The rest is for metadata.
        let limits = JSONReader.Limits(bytes: Self.lengthLimit, values: 20 * Self.tensorLimit, depth: Self.depthLimit)
        let document: JSONValue
        do throws(JSONFault) {
            document = try JSONValue(parsing: json, limits: limits)
        } catch {
            throw WeightsError.json(file, error)
        }
        guard var members = document.objectValue else { throw WeightsError.headerNotObject(file) }
        try Self.checkMetadata(members.removeValue(forKey: "__metadata__"), file: file)
        guard members.count <= Self.tensorLimit else {
            throw WeightsError.tooManyTensors(file, count: members.count, limit: Self.tensorLimit)
        }
        var entries: [Entry] = []
        entries.reserveCapacity(members.count)
        for (name, value) in members { entries.append(try Self.entry(name, value, file: file)) }
        entries.sort { ($0.begin, $0.end, $0.name) < ($1.begin, $1.end, $1.name) }
        var nextBegin = 0
        for entry in entries {
            guard entry.begin == nextBegin else {
                throw WeightsError.offsetsNotContiguous(file, entry.name, begin: entry.begin, expected: nextBegin)
            }
            nextBegin = entry.end
        }
        self.entries = entries
        dataBytes = nextBegin
    }

    /// Requires `__metadata__` to be an object of strings, as the format does.
    private static func checkMetadata(_ value: JSONValue?, file: String) throws {
        guard let value else { return }
        guard let members = value.objectValue, members.values.allSatisfy({ $0.stringValue != nil }) else {
            throw WeightsError.metadataInvalid(file)
        }
    }

    private static func entry(_ name: String, _ value: JSONValue, file: String) throws -> Entry {
        guard name.utf8.count <= nameLimit else {
            throw WeightsError.nameTooLong(file, bytes: name.utf8.count, limit: nameLimit)
        }
        guard let members = value.objectValue else {
            throw WeightsError.entryInvalid(file, name, "its entry is not an object")
        }
        guard let typeName = members["dtype"]?.stringValue else {
            throw WeightsError.entryInvalid(file, name, "its dtype is missing or not a string")
        }
        guard let type = DType(safetensorsName: typeName) else { throw WeightsError.typeUnknown(file, name, typeName) }
        guard let dimensions = members["shape"]?.arrayValue else { throw WeightsError.shapeInvalid(file, name) }
        guard dimensions.count <= rankLimit else {
            throw WeightsError.rankTooHigh(file, name, rank: dimensions.count, limit: rankLimit)
        }
        let shape = try dimensions.map { value in
            guard let size = value.intValue, size >= 0 else { throw WeightsError.shapeInvalid(file, name) }
            return size
        }
        guard let bytes = byteCount(shape: shape, type: type) else { throw WeightsError.shapeOverflow(file, name) }
        guard let offsets = members["data_offsets"]?.arrayValue, offsets.count == 2,
            let begin = offsets[0].intValue, let end = offsets[1].intValue, begin >= 0, end >= begin
        else { throw WeightsError.offsetsInvalid(file, name) }
        guard end - begin == bytes else {
            throw WeightsError.tensorSizeMismatch(file, name, bytes: end - begin, expected: bytes)
        }
        return Entry(name: name, type: type, shape: shape, begin: begin, end: end)
    }

    /// Bytes of a tensor; nil if a dimension is negative or the product overflows.
    ///
    /// As in the Rust crate, it overflows from left to right even if a later dimension is 0.
    static func byteCount(shape: [Int], type: DType) -> Int? {
        var total = 1
        for size in shape {
            let (product, overflow) = total.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { return nil }
            total = product
        }
        let (bytes, overflow) = total.multipliedReportingOverflow(by: type.size)
        return overflow ? nil : bytes
    }
}
