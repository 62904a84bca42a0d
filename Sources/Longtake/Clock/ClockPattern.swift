/// A pattern for the end of a recording's path, which states its camera and when it started.
///
/// `{camera}` stands for any text within a name, `*` too, and `%Y` and the like for digits; everything else stands for
/// itself. The file's suffix is ignored.
package struct ClockPattern: Sendable, Equatable {
    /// A part of a path that stands for a number or an offset.
    enum Field: Character, CaseIterable {
        case year = "Y"
        case month = "m"
        case day = "d"
        case dayOfYear = "j"
        case hour = "H"
        case minute = "M"
        case second = "S"
        /// Seconds since 1970 in UTC.
        case unixTime = "s"
        /// The offset from UTC.
        case offset = "z"

        /// Number of digits; nil for an offset.
        var digits: ClosedRange<Int>? {
            switch self {
            case .year: 4...4
            case .dayOfYear: 3...3
            case .unixTime: 1...11
            case .offset: nil
            default: 2...2
            }
        }

        /// The field as it is written in a pattern.
        var text: String { "%\(rawValue)" }
    }

    enum Part: Equatable {
        case byte(UInt8)
        case field(Field)
        case camera
        /// Any text within a name, also none.
        case wildcard
    }

    /// The pattern as it was given.
    package let text: String
    let parts: [Part]
    let fields: Set<Field>

    private static let maxBytes = 512

    /// Compiles a pattern.
    ///
    /// - Throws: `LongtakeError` `bad_request` that says what is wrong and at which character.
    package init(_ text: String) throws {
        func fail(_ problem: String) -> LongtakeError {
            LongtakeError(code: .badRequest, message: "invalid clock pattern \"\(text.prefix(200))\": \(problem)")
        }
        guard !text.isEmpty else { throw fail("it is empty") }
        guard text.utf8.count <= Self.maxBytes else { throw fail("it has more than \(Self.maxBytes) bytes") }
        var (parts, fields): ([Part], Set<Field>) = ([], [])
        var rest = Substring(text)
        while let next = rest.first {
            let place = "at character \(text.distance(from: text.startIndex, to: rest.startIndex) + 1)"
            rest = rest.dropFirst()
            switch next {
            case "%":
                guard let letter = rest.popFirst() else { throw fail("% at its end; write %% for a percent sign") }
                if letter == "%" {
                    parts.append(.byte(UInt8(ascii: "%")))
                    continue
                }
                guard let field = Field(rawValue: letter) else {
                    let known = Field.allCases.map(\.text).joined(separator: " ")
                    throw fail("unknown field %\(letter) \(place); known: \(known) {camera} * %%")
                }
                guard fields.insert(field).inserted else { throw fail("\(field.text) twice, again \(place)") }
                parts.append(.field(field))
            case "{":
                guard let end = rest.firstIndex(of: "}") else {
                    throw fail("{ without } \(place); the only name is {camera}")
                }
                let name = rest[..<end]
                guard name == "camera" else { throw fail("unknown name {\(name)} \(place); the only one is {camera}") }
                guard !parts.contains(.camera) else { throw fail("{camera} twice, again \(place)") }
                parts.append(.camera)
                rest = rest[end...].dropFirst()
            case "}": throw fail("} without { \(place)")
            case "*": if parts.last != .wildcard { parts.append(.wildcard) }
            default: parts += String(next).utf8.map { .byte($0) }
            }
        }
        if let problem = Self.problem(with: fields, hasCamera: parts.contains(.camera)) { throw fail(problem) }
        self.text = text
        self.parts = parts
        self.fields = fields
    }

    /// What keeps the fields from stating a time; nil if they do, or if there are none beside a camera.
    private static func problem(with fields: Set<Field>, hasCamera: Bool) -> String? {
        if fields.isEmpty { return hasCamera ? nil : "it has neither a date nor {camera}" }
        if fields.contains(.unixTime) {
            let others = Field.allCases.filter { $0 != .unixTime && fields.contains($0) }
            return others.isEmpty ? nil : "%s is a whole time: leave out \(others.map(\.text).joined(separator: " "))"
        }
        let hasDay = fields.contains(.dayOfYear) || fields.isSuperset(of: [.month, .day])
        guard fields.contains(.year), hasDay else { return "a date needs %Y with %m and %d, or %Y with %j, or %s" }
        if fields.contains(.dayOfYear), fields.contains(.month) || fields.contains(.day) {
            return "%j is the day of the year: leave out %m and %d"
        }
        if fields.contains(.second), !fields.contains(.minute) { return "%S needs %M" }
        if fields.contains(.minute), !fields.contains(.hour) { return "%M needs %H" }
        return nil
    }

    /// True if a match states a time.
    var hasTime: Bool { !fields.isEmpty }

    /// Seconds that a match leaves open.
    var precision: Double {
        if fields.contains(.second) || fields.contains(.unixTime) { return 1 }
        return fields.contains(.minute) ? 60 : fields.contains(.hour) ? 3600 : 86_400
    }
}
