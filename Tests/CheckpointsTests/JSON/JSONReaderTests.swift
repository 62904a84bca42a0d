import Checkpoints
import Testing

/// RFC 8259 and the limits, read as a tree and key by key.
@Suite struct JSONReaderTests {
    private func fault(_ text: String, limits: JSONReader.Limits = .config) -> JSONFault? {
        do throws(JSONFault) {
            _ = try JSONValue(parsing: Array(text.utf8), limits: limits)
            return nil
        } catch { return error }
    }

    @Test func `A document of every kind of value is read exactly`() throws {
        let text = """
             {"a": [true, false, null, -0, 9223372036854775807, 9223372036854775808, 1.5e-3],
             "\\u00e9\\n\\ud83d\\ude00\\/": "é😀", "": {}, "e": []}\t
            """
        #expect(
            try JSONValue(parsing: Array(text.utf8))
                == .object([
                    "a": .array([
                        .bool(true), .bool(false), .null, .integer(0), .integer(.max),
                        .number(9_223_372_036_854_775_808), .number(0.0015),
                    ]),
                    "é\n😀/": .string("é😀"), "": .object([:]), "e": .array([]),
                ]))
    }

    @Test(arguments: [
        ("", 0, "it ends where a value should be"), ("{\"a\":}", 5, "no value begins here"), ("[1,]", 3, "no value"),
        ("{\"a\":1,}", 7, "expected a key"), ("[1 2]", 3, "expected ',' or ']'"), ("{\"a\" 1}", 5, "expected ':'"),
        ("[1] x", 4, "something follows"), ("01", 1, "leading zero"), ("+1", 0, "no value"), ("1.", 2, "a digit"),
        ("-", 1, "a digit"), ("1e999", 5, "out of range"), ("NaN", 0, "no value"), ("tru", 3, "expected true"),
        ("\"a", 2, "does not end"), ("\"\n\"", 1, "control character"), ("\"\\x\"", 1, "unknown escape"),
        ("\"\\ud800\"", 1, "lone surrogate"), ("\"\\ude00\"", 1, "lone surrogate"), ("\"\\u12g4\"", 5, "hexadecimal"),
        ("\u{FEFF}{}", 0, "no value"),
    ])
    func `What RFC 8259 forbids is refused with its offset`(text: String, offset: Int, reason: String) {
        let fault = fault(text)
        #expect(
            fault?.offset == offset && fault?.reason.contains(reason) == true, "\(text): \(String(describing: fault))")
        #expect(fault?.kind == .syntax)
    }

    @Test func `The limits hold exactly`() {
        let limits = JSONReader.Limits(bytes: 12, values: 4, depth: 3)
        #expect(fault("[[[]]]", limits: limits) == nil)
        #expect(fault("[[[[]]]]", limits: limits)?.kind == .depth)
        #expect(fault("[1,2,3]", limits: limits) == nil)
        #expect(fault("[1,2,3,4]", limits: limits)?.kind == .size)
        #expect(fault("[1]         ", limits: limits) == nil)
        #expect(fault("[1]          ", limits: limits)?.kind == .size)
        #expect(fault("[0." + String(repeating: "1", count: 398) + "]") == nil)
        #expect(fault("[0." + String(repeating: "1", count: 399) + "]")?.reason.contains("400 characters") == true)
    }

    @Test func `Duplicate keys are refused, also if they differ only in their normal form`() {
        #expect(fault(#"{"a":1,"b":{"a":1}}"#) == nil)
        #expect(fault(#"{"a":1,"a":1}"#)?.kind == .duplicateKey)
        #expect(fault(#"{"é":1,"e\u0301":1}"#)?.kind == .duplicateKey)
    }

    @Test func `Bytes that are not UTF-8 are a fault of the string that has them`() throws {
        let bytes: [UInt8] = Array(#"["ok","b"#.utf8) + [0xFF] + Array(#""]"#.utf8)
        do throws(JSONFault) {
            _ = try JSONValue(parsing: bytes)
            Issue.record("accepted")
        } catch { #expect(error.kind == .utf8 && error.offset == 7) }
        let reader = try JSONReader(bytes)
        do throws(JSONFault) {
            try reader.requireUTF8()
            Issue.record("accepted")
        } catch { #expect(error.kind == .utf8 && error.offset == 8) }
    }

    @Test func `A document is read key by key, and a value again from its offset`() throws {
        let text = #" {"skipped": [{"a": [1, "]"]}, -1.5e3], "later": {"x": 7}, "list": ["a\n", "b"]} "#
        var reader = try JSONReader(Array(text.utf8))
        var key: [UInt8] = []
        var keys: [String] = []
        var later = 0
        var list: [String] = []
        try reader.beginObject()
        while try reader.nextKey(into: &key) {
            keys.append(String(decoding: key, as: UTF8.self))
            switch keys.last {
            case "later":
                _ = reader.peek()
                later = reader.offset
                try reader.skip()
            case "list":
                try reader.beginArray()
                while try reader.nextElement() {
                    var element: [UInt8] = []
                    try reader.string(into: &element)
                    list.append(String(decoding: element, as: UTF8.self))
                }
            default: try reader.skip()
            }
        }
        try reader.expectEnd()
        #expect(keys == ["skipped", "later", "list"] && list == ["a\n", "b"])
        var moved = reader.moved(to: later)
        try moved.beginObject()
        #expect(try moved.nextKey(into: &key))
        #expect(try moved.integer(upTo: 7) == 7)
        #expect(try !moved.nextKey(into: &key))
    }
}
