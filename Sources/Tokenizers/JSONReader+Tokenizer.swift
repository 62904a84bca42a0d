internal import Checkpoints

extension JSONReader {
    /// A reader of a tokenizer file, which must be UTF-8 and may begin with a byte order mark; throws `JSONFault`.
    init(tokenizerFile bytes: [UInt8]) throws(JSONFault) {
        // The limit of a file's size is enforced when it is read.
        try self.init(bytes, limits: Limits(bytes: .max, values: .max, depth: 64))
        try requireUTF8()
        skipByteOrderMark()
    }
}

extension JSONValue {
    /// The value if it is an integer in 0...Int32.max; `5.0` is one.
    var indexValue: Int? {
        guard let number = doubleValue, number >= 0, number <= Double(Int32.max) else { return nil }
        return Int(exactly: number)
    }
}
