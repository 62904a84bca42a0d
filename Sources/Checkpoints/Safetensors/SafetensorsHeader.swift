internal import Tensors

/// A validated safetensors header: every tensor lies inside the data, without gaps or overlaps.
///
/// Source: the checks of the format's Rust crate, with stricter limits on counts, ranks, names and nesting.
struct SafetensorsHeader {
    /// A tensor's header entry; begin and end are byte offsets into the data.
    struct Entry {
        let name: String
        let type: DType
        let shape: [Int]
        let begin: Int
        let end: Int
    }

    static let lengthLimit = 100_000_000
    static let tensorLimit = 100_000
    static let rankLimit = 8
    static let nameLimit = 1024
    static let depthLimit = 8

    /// The tensors in the order of their data.
    let entries: [Entry]
    /// Bytes of tensor data.
    let dataBytes: Int

    /// Decodes the header length from the file's first eight bytes and checks it against the limit and the file size.
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
        // A tensor has at most 3 + 8 + 2 values and its own object; metadata is small.
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
        var expected = 0
        for entry in entries {
            guard entry.begin == expected else {
                throw WeightsError.offsetsNotContiguous(file, entry.name, begin: entry.begin, expected: expected)
            }
            expected = entry.end
        }
        self.entries = entries
        dataBytes = expected
    }

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

    /// Bytes of a tensor; nil if the product, computed from the left, overflows.
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
