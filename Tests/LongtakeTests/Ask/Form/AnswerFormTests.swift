import Foundation
import Longtake
import TestSupport
import Testing
import Tokenizers

extension LongtakeTests {
    /// Every text of a form's grammar is an answer in that form, and every answer is in its grammar.
    @Suite struct AnswerFormTests {
        static let schemas = [
            #"{"type":"boolean"}"#, #"{"type":"null"}"#, #"{"type":"integer","minimum":-3,"maximum":120}"#,
            #"{"type":"number","minimum":-0.5,"maximum":2.25}"#, #"{"type":"string","maxLength":5}"#,
            #"{"enum":["red","reddish","a \"quoted\" é"]}"#,
            #"{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":4}"#,
            #"{"type":"array","items":{"type":"array","items":{"type":"boolean"},"maxItems":2},"maxItems":3}"#,
            #"{"type":"array","items":{"type":"string"},"maxItems":0}"#,
            """
            {"$schema":"https://json-schema.org/draft/2020-12/schema","title":"People","type":"object","properties":{
              "count":{"type":"integer","minimum":0,"maximum":99},"colors":{"type":"array","maxItems":2,
              "items":{"enum":["red","blue"]}},"note":{"type":"string","maxLength":12},"seen":{"type":"boolean"},
              "where":{"type":"object","properties":{"x":{"type":"number"},"y":{"type":"number"}},"required":["x"]}},
              "required":["count","seen"],"additionalProperties":false}
            """,
            #"{"type":"object","properties":{}}"#,
            #"{"type":"object","properties":{"a":{"type":"null"},"ab":{"type":"null"},"b":{"type":"null"}}}"#,
        ]

        private static func forms() throws -> [AnswerForm] {
            let choices: [[String]] = [
                ["red", "blue"], ["a star", "a circle", "star"], ["red", "red car", "Red wine", "the end", "a"],
                ["ja, klar", "nein", "é"],
            ]
            return try [.yesNo, .number, .time, .text] + choices.map { .choice($0) }
                + schemas.map { .json(try AnswerSchema(json: $0)) }
        }

        /// A random text of a grammar, byte by byte; it ends where it may, half of the times.
        private func walk(_ grammar: ByteGrammar, _ random: inout SeededNumbers) throws -> String {
            var (state, bytes) = (grammar.start, [UInt8]())
            // A printable byte four times out of five, so that texts end sometimes.
            while !(grammar.isAccepting(state) && (grammar.isFinal(state) || Bool.random(using: &random))) {
                let next = (0...255).compactMap { byte in grammar.next(state, UInt8(byte)).map { (UInt8(byte), $0) } }
                let shorter = next.filter { grammar.fewestBytes($0.1) < grammar.fewestBytes(state) }
                let from = Int.random(in: 0..<4, using: &random) == 0 && !shorter.isEmpty ? shorter : next
                let chosen = try #require(from.randomElement(using: &random))
                bytes.append(chosen.0)
                state = chosen.1
                try #require(bytes.count <= grammar.mostBytes)
            }
            return try #require(String(validating: bytes, as: UTF8.self))
        }

        @Test func `every text of a grammar is an answer in its form`() throws {
            var random = SeededNumbers(state: 1)
            for form in try Self.forms() {
                let grammar = try form.grammar()
                for _ in 0..<60 {
                    let text = try walk(grammar, &random)
                    let answer = try #require(
                        form.answer(text.first == " " ? String(text.dropFirst()) : text), "\(text)")
                    // What is shown is in the form too, and means the same.
                    #expect(form.answer(answer.text)?.value == answer.value, "\(answer)")
                    try check(answer, form)
                }
            }
        }

        private func check(_ answer: DeclaredAnswer, _ form: AnswerForm) throws {
            switch (form, answer.value) {
            case (.yesNo, .bool(let value)): #expect(answer.text == (value ? "yes" : "no"))
            case (.choice(let choices), .text(let value)): #expect(choices.contains(value) && answer.text == value)
            case (.number, .number(let value)): #expect(Double(answer.text) == value)
            case (.time, .number(let seconds)): #expect((0..<360_000).contains(seconds) && answer.text.count >= 8)
            case (.text, .text(let value)):
                #expect(value == answer.text && !value.isEmpty && !value.contains { $0.isNewline })
            case (.json(let schema), _):
                let parsed = try JSONSerialization.jsonObject(with: Data(answer.text.utf8), options: .fragmentsAllowed)
                let text = try Self.schemas.first { try AnswerSchema(json: $0) == schema } ?? ""
                let source = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
                #expect(SchemaCheck.accepts(parsed, source ?? [:]), "\(answer.text)")
            default: Issue.record("\(form.name) has the value \(answer.value)")
            }
        }

        @Test func `every value of a schema is in its grammar`() throws {
            var random = SeededNumbers(state: 2)
            for text in Self.schemas {
                let source = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
                let grammar = try AnswerForm.json(AnswerSchema(json: text)).grammar()
                let order = try Self.order(text)
                for _ in 0..<40 {
                    let value = SchemaCheck.value(source, order, &random)
                    let end = grammar.next(grammar.start, value.utf8)
                    #expect(end.map(grammar.isAccepting) == true, "\(value) of \(text)")
                }
            }
        }

        /// The names of all properties in the order in which they stand in the schema.
        private static func order(_ text: String) throws -> [String] {
            ["count", "colors", "note", "seen", "where", "x", "y", "a", "ab", "b"]
        }

        @Test(
            arguments: [
                ("Yes", "yes", AnswerForm.yesNo), ("NO", "no", .yesNo), ("three", "3", .number),
                ("Twenty-one", "21", .number),
                ("none", "0", .number), ("-1.50", "-1.5", .number), ("0.000001", "0.000001", .number),
                ("7", "7", .number),
                ("a hundred", "100", .number), ("0:05", "00:00:05", .time), ("90:00", "01:30:00", .time),
                ("3:00:01", "03:00:01", .time), ("Red", "red", .choice(["red", "blue"])),
                ("The blue", "blue", .choice(["red", "blue"])), ("circle", "a circle", .choice(["a circle"])),
                ("A star", "a star", .choice(["star", "a star"])), ("star", "star", .choice(["a star", "star"])),
                ("one line  ", "one line", .text),
            ] as [(String, String, AnswerForm)])
        func `an answer is written in one way`(model: String, shown: String, form: AnswerForm) throws {
            let grammar = try form.grammar()
            #expect(grammar.next(grammar.start, model.utf8).map(grammar.isAccepting) == true)
            #expect(form.answer(model)?.text == shown)
        }

        @Test(
            arguments: [
                ("yes_no", ""), ("time", ""), ("choice:red, dark blue ,x", ""), (#"choice:["a, b","c"]"#, ""),
                (#"json:{"type":"null"}"#, ""),
                (
                    "yesno",
                    #"unknown form "yesno"; use yes_no, number, time, text, choice (with its texts) or json (with a "#
                        + "schema); did you mean yes_no?"
                ),
                ("number:3", "number takes nothing after it"), ("choice", "a choice needs its texts"),
                ("json:", "json needs a schema"),
                ("choice:a,,b", #"the choice "" must be 1 to 100 bytes on one line, without spaces at its ends"#),
                ("choice:a,b,a", #"the choice "a" is there twice"#),
                ("choice:[1]", "line 1, column 2: a choice must be text; put it in quotes"),
                ("choice:[\"a\"", "line 1, column 5: not valid JSON: expected ',' or ']'"),
                (
                    #"json:{"type":"text"}"#,
                    #"line 1, column 9: unknown type "text"; use object, array, string, integer, number, boolean or null"#
                ),
                (#"json:{"type":"strin"}"#, #"unknown type "strin"; did you mean "string"?"#),
                (#"json:{"type":["string","null"]}"#, "a list of types is not supported"),
                (
                    "json:{\"type\":\"string\",\n \"pattern\":\"a\"}",
                    #"line 2, column 12: "pattern" is not supported for type string; use maxLength, enum"#
                ),
                (
                    #"json:{"type":"number","exclusiveMinimum":1}"#,
                    #""exclusiveMinimum" is not supported for type number; use minimum, maximum"#
                ),
                (#"json:{"type":"string","maxLenght":1}"#, #"did you mean "maxLength"?"#),
                (#"json:{"type":"object"}"#, #"an object needs "properties""#),
                (
                    #"json:{"type":"object","properties":{},"required":["a"]}"#,
                    #"the required property "a" is not in "properties""#
                ),
                (
                    #"json:{"type":"object","properties":{},"additionalProperties":true}"#,
                    #""additionalProperties" must be false"#
                ),
                (#"json:{"type":"array"}"#, #"an array needs "items""#),
                (
                    #"json:{"type":"array","items":{"type":"null"},"minItems":3,"maxItems":2}"#,
                    "minItems is 3, above maxItems 2"
                ),
                (#"json:{"type":"integer","minimum":0.2,"maximum":0.8}"#, "there is no number"),
                (#"json:{"type":"integer","minimum":"1"}"#, "this must be a number"),
                (#"json:{"$ref":"x"}"#, #""type" is missing"#),
            ] as [(String, String)])
        func `a form is read, or the error says what is wrong`(text: String, error: String) throws {
            do {
                _ = try AnswerForm(text)
                #expect(error.isEmpty, "\(text)")
            } catch {
                let failure = Failure(error)
                #expect(!"\(error)".isEmpty && failure.exitCode == 64)
                try requireSuffix(failure.message, text)
            }
            func requireSuffix(_ message: String, _ text: String) throws {
                #expect(!error.isEmpty && message.contains(error), "\(text): \(message)")
            }
        }

        @Test func `keys tell forms apart`() throws {
            let keys = try Self.forms().map(\.key)
            #expect(Set(keys).count == keys.count)
            #expect(try Self.forms().map(\.key) == keys)
        }

        @Test func `a schema of a hundred thousand items is refused`() throws {
            let schema =
                #"{"type":"array","maxItems":1000,"items":{"type":"array","maxItems":1000,"items":{"type":"null"}}}"#
            #expect(code { _ = try AnswerForm.json(AnswerSchema(json: schema)).grammar() } == "bad_request")
        }
    }
}

/// An independent check of the subset of JSON Schema, over Foundation's values.
enum SchemaCheck {
    static func accepts(_ value: Any, _ schema: [String: Any]) -> Bool {
        func number(_ key: String) -> Double? { (schema[key] as? NSNumber)?.doubleValue }
        if let texts = schema["enum"] as? [String] { return (value as? String).map(texts.contains) ?? false }
        switch schema["type"] as? String {
        case "null": return value is NSNull
        case "boolean":
            return (value as? NSNumber).map { "\($0)" == "true" || "\($0)" == "false" || $0 == 0 || $0 == 1 } ?? false
        case "integer", "number":
            guard let own = (value as? NSNumber)?.doubleValue else { return false }
            let isWhole = schema["type"] as? String == "number" || own == own.rounded()
            return isWhole && own >= number("minimum") ?? -1e15 && own <= number("maximum") ?? 1e15
        case "string":
            guard let text = value as? String else { return false }
            return Double(text.unicodeScalars.count) <= number("maxLength") ?? 200
        case "array":
            guard let list = value as? [Any], let items = schema["items"] as? [String: Any] else { return false }
            let count = Double(list.count)
            return count >= number("minItems") ?? 0 && count <= number("maxItems") ?? 16
                && list.allSatisfy { accepts($0, items) }
        default:
            guard let object = value as? [String: Any], let properties = schema["properties"] as? [String: Any] else {
                return false
            }
            return (schema["required"] as? [String] ?? []).allSatisfy { object[$0] != nil }
                && object.allSatisfy { key, own in (properties[key] as? [String: Any]).map { accepts(own, $0) } ?? false
                }
        }
    }

    /// A random value of a schema, as the program writes it.
    static func value(_ schema: [String: Any], _ order: [String], _ random: inout SeededNumbers) -> String {
        func number(_ key: String) -> Double? { (schema[key] as? NSNumber)?.doubleValue }
        func quoted(_ text: String) -> String {
            "\"" + text.map { $0 == "\"" ? "\\\"" : $0 == "\\" ? "\\\\" : "\($0)" }.joined() + "\""
        }
        if let texts = schema["enum"] as? [String] { return quoted(texts.randomElement(using: &random) ?? "") }
        switch schema["type"] as? String {
        case "null": return "null"
        case "boolean": return "\(Bool.random(using: &random))"
        case "integer", "number":
            let value = Double.random(in: (number("minimum") ?? -1e6)...(number("maximum") ?? 1e6), using: &random)
            if schema["type"] as? String == "integer" { return "\(Int(exactly: value.rounded()) ?? 0)" }
            let text = String(format: "%.3f", value)
            return text == "-0.000" ? "0.0" : text
        case "string":
            let alphabet = Array("ab Zé€😀\\\"/1")
            let count = Int.random(in: 0...min(Int(exactly: number("maxLength") ?? 200) ?? 0, 12), using: &random)
            return quoted(String((0..<count).map { _ in alphabet.randomElement(using: &random) ?? "a" }))
        case "array":
            let least = Int(exactly: number("minItems") ?? 0) ?? 0
            let count = Int.random(in: least...(Int(exactly: number("maxItems") ?? 16) ?? 0), using: &random)
            let items = schema["items"] as? [String: Any] ?? [:]
            return "[" + (0..<count).map { _ in value(items, order, &random) }.joined(separator: ", ") + "]"
        default:
            let properties = schema["properties"] as? [String: Any] ?? [:]
            let required = schema["required"] as? [String] ?? []
            let members = order.compactMap { name -> String? in
                guard let own = properties[name] as? [String: Any],
                    required.contains(name) || Bool.random(using: &random)
                else { return nil }
                return "\"\(name)\": " + value(own, order, &random)
            }
            return "{" + members.joined(separator: ", ") + "}"
        }
    }
}
