extension JSONValue {
    /// Parses one document, which may be surrounded by white space.
    package init(parsing bytes: [UInt8], limits: JSONReader.Limits = .config) throws(JSONFault) {
        var reader = try JSONReader(bytes, limits: limits)
        self = try reader.value()
        try reader.expectEnd()
    }
}
