import Tensors

/// Reads typed, range-checked values from one JSON config object; an explicit null counts as absent.
///
/// Throws `config_invalid` for a missing key or a wrong type, `config_out_of_range` for a value outside the range.
struct ConfigReader {
    /// The file, and the object inside it, for messages.
    let file: String
    let members: [String: JSONValue]

    init(file: String, members: [String: JSONValue]) {
        self.file = file
        self.members = members
    }

    /// Parses `bytes` as a JSON object; throws `config_invalid`.
    init(file: String, bytes: [UInt8]) throws {
        let document: JSONValue
        do throws(JSONFault) {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw CheckpointError.configInvalid(file, error.description)
        }
        guard let members = document.objectValue else {
            throw CheckpointError.configInvalid(file, "is not a JSON object")
        }
        self.init(file: file, members: members)
    }

    /// The value of `key`; nil if absent or null.
    func value(_ key: String) -> JSONValue? {
        guard let value = members[key], !value.isNull else { return nil }
        return value
    }

    func integer(_ key: String, in range: ClosedRange<Int>, default absent: Int? = nil) throws -> Int {
        try number(key, in: range, default: absent, "a whole number") { $0.intValue }
    }

    func double(_ key: String, in range: ClosedRange<Double>, default absent: Double? = nil) throws -> Double {
        try number(key, in: range, default: absent, "a number") { $0.doubleValue }
    }

    private func number<Number: Comparable>(
        _ key: String, in range: ClosedRange<Number>, default absent: Number?, _ wanted: String,
        _ read: (JSONValue) -> Number?
    ) throws -> Number {
        guard let value = value(key) else {
            guard let absent else { throw CheckpointError.keyMissing(file, key) }
            return absent
        }
        guard let number = read(value) else { throw CheckpointError.keyType(file, key, wanted) }
        guard range.contains(number) else {
            throw CheckpointError.outOfRange(file, key, "\(number)", "\(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    func flag(_ key: String, default absent: Bool = false) throws -> Bool {
        guard let value = value(key) else { return absent }
        guard let flag = value.boolValue else { throw CheckpointError.keyType(file, key, "true or false") }
        return flag
    }

    func string(_ key: String) throws -> String? {
        guard let value = value(key) else { return nil }
        guard let text = value.stringValue else { throw CheckpointError.keyType(file, key, "a string") }
        return text
    }

    /// The nested object `key`; nil if absent.
    func object(_ key: String) throws -> ConfigReader? {
        guard let value = value(key) else { return nil }
        guard let members = value.objectValue else { throw CheckpointError.keyType(file, key, "an object") }
        return ConfigReader(file: "\(file): \(key)", members: members)
    }

    /// One integer or a list of up to 64, as `eos_token_id` may be; nil if absent.
    func integers(_ key: String, in range: ClosedRange<Int>) throws -> [Int]? {
        guard let value = value(key) else { return nil }
        let list = value.arrayValue ?? [value]
        guard list.count <= 64 else { throw CheckpointError.keyType(file, key, "a list of at most 64 numbers") }
        return try list.map { element in
            guard let number = element.intValue else {
                throw CheckpointError.keyType(file, key, "a whole number or a list of them")
            }
            guard range.contains(number) else {
                throw CheckpointError.outOfRange(file, key, "\(number)", "\(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
    }

    /// Throws `unsupported` unless `key` is absent or one of `supported`.
    func require(_ key: String, isOneOf supported: [String]) throws {
        guard let text = try string(key), !supported.contains(text) else { return }
        throw CheckpointError.unsupported(file, key, "\"\(text)\"", supported.joined(separator: " or "))
    }

    /// Throws `unsupported` if `key` is true.
    func requireFalse(_ key: String) throws {
        guard try flag(key) else { return }
        throw CheckpointError.unsupported(file, key, "true", "false")
    }

    /// Throws `config_out_of_range` unless `value` is a multiple of `divisor`.
    func require(_ key: String, _ value: Int, isDividedBy divisor: Int, _ what: String) throws {
        guard divisor > 0, value % divisor == 0 else {
            throw CheckpointError.outOfRange(file, key, "\(value)", "a multiple of \(what), \(divisor)")
        }
    }
}
