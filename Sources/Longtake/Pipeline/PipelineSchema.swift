/// The JSON schema of pipeline files, for editors.
package enum PipelineSchema {
    /// The schema as a JSON document (draft 2020-12).
    ///
    /// Derived from the same lists of keys that the reader accepts, so that it cannot fall behind.
    package static func text() throws -> String { try JSONText.pretty(root) }

    private static let time = Schema.any([
        .number(minimum: 0), .text("a time such as 90, 10m, 2h or \"01:30:00\""),
    ])
    private static let names = Schema.any([.text("one pattern"), .list(.text("a pattern"))])

    private static let sampling: [String: Schema] = [
        "min_age": time, "fps": .number(minimum: 0.001, maximum: 240), "stream": .integer(minimum: 0),
        "reuse": .any([.choice(["off", "exact", "auto"]), .number(minimum: 0, maximum: 255)]),
        "sampling": .choice(IndexOptions.samplings), "record": .choice(IndexOptions.records),
        "keep": .choice(IndexOptions.keeps), "keep_corrupt": .boolean, "max_duration": time,
        "max_frames": .integer(minimum: 1),
    ]
    private static let limits: [String: Schema] = [
        "max_runtime": time, "threads": .integer(minimum: 1), "nice": .integer(minimum: 0, maximum: 19),
        "cache_max": .text("bytes, 200G or 80%"),
    ]
    private static let answers: [String: Schema] = [
        "focus": .any([.choice(["auto", "off"]), .integer(minimum: 1)]), "evidence": .integer(minimum: 0),
        "fusion_frames": .integer(minimum: 1), "fusion_error": .number(minimum: 0, maximum: 1),
        "must_be_seen": .boolean,
    ]
    private static let clock: [String: Schema] = [
        "clock": .text("pattern for the end of a path, such as {camera}/%Y-%m-%d/%H-%M-%S"),
        "timezone": .text("a name such as Europe/Berlin, or an offset such as +02:00"),
        "since": .text("24h, 7d, a date or a time"), "until": .text("24h, 7d, a date or a time"),
        "camera": .any([.text("a camera's name"), .list(.text("a camera's name"))]),
    ]
    private static let input: [String: Schema] = [
        "path": .text("file or folder"), "list": .text("file with paths, one per line"), "recursive": .boolean,
        "include": names, "exclude": names, "follow_symlinks": .boolean, "min_length": time, "max_length": time,
    ]
    private static let question: [String: Schema] = [
        "id": .text("name in the output"), "ask": .text("the question"),
        "search": .text("what to find, in place of ask"),
        "threshold": .number(minimum: -1, maximum: 1),
        "at_most": .integer(minimum: 1, maximum: SearchOptions.acceptedLimits.upperBound), "from": time, "to": time,
        "every": time,
        "for": .choice(["all", "new"]),
        "if": .text("condition on an earlier question's answer"), "max_tokens": .integer(minimum: 1),
        "answer": .any([
            .choice(["yes_no", "number", "time", "text"]),
            .object(
                ["choice": .list(.text("a choice"), least: 1), "json": .anything("a JSON schema (docs/answers.md)")],
                required: []),
        ]),
        "fusion": .choice(FusionMode.allCases.map(\.rawValue)),
    ]
    private static let alert: [String: Schema] = [
        "id": .text("name of the alert"), "when": .text("run failed, file failed or a condition on an answer"),
        "command": .any([.text("a program"), .list(.text("the program and its arguments"), least: 1)]),
        "webhook": .text("address that gets the finding as JSON"), "secret": .text("key of the signature"),
        "timeout": time,
    ]
    private static let output: [String: Schema] = [
        "path": .text("path with {date}, {folder}, {name}, {id}, %Y, …"),
        "format": .choice(PipelineOutput.Format.allCases.map(\.rawValue)), "margin": time,
    ]

    private static let digest: [String: Schema] = [
        "path": .text("file with {date}, %Y, …"),
        "command": .any([.text("a program"), .list(.text("the program and its arguments"), least: 1)]),
        "format": .choice(RunDigest.Style.allCases.map(\.rawValue)),
    ]

    private static let file: [String: Schema] = merged(
        sampling, limits, answers, clock,
        [
            "version": .choiceOfNumbers([1]), "name": .text("what runs and answers are stored under"),
            "vars": .map(.any([.text("a text"), .number()])), "model": .text("folder or name of the model"),
            "precision": .choice(ModelSettings.precisions), "kv": .choice(ModelSettings.keyValueTypes),
            "inputs": .list(.any([.text("file or folder"), .object(input, required: [])]), least: 1),
            "recursive": .boolean, "exclude": names, "order": .choice(PipelineOrder.allCases.map(\.rawValue)),
            "max_tokens": .integer(minimum: 1),
            "questions": .list(
                .any([
                    .text("the question"),
                    .object(merged(question, answers), required: [], requiresOneOf: ["ask", "search"]),
                ])),
            "output": .text("path of an output"),
            "digest": .any([.text("path of the run's digest"), .object(digest, required: [])]),
            "report": .text("path of the run's report, a page in HTML"),
            "alerts": .list(.object(alert, required: ["when"])),
            "outputs": .list(.any([.text("path of an output"), .object(output, required: ["path"])])),
        ])

    private static var root: Schema { .object(file, required: ["version", "inputs"], isRoot: true) }

    private static func merged(_ parts: [String: Schema]...) -> [String: Schema] {
        parts.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
    }
}

/// A part of a JSON schema.
private indirect enum Schema: Encodable, Sendable {
    case text(String)
    case boolean
    /// Anything, described.
    case anything(String)
    case integer(minimum: Int, maximum: Int? = nil)
    case number(minimum: Double? = nil, maximum: Double? = nil)
    case choice([String])
    case choiceOfNumbers([Int])
    case list(Schema, least: Int? = nil)
    case map(Schema)
    case any([Schema])
    case object([String: Schema], required: [String], requiresOneOf: [String] = [], isRoot: Bool = false)

    private enum Key: String, CodingKey {
        case schema = "$schema"
        case title, type, description, minimum, maximum, items, minItems, properties, required, additionalProperties
        case anyOf, oneOf
        case values = "enum"
    }

    func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: Key.self)
        switch self {
        case .text(let description):
            try keys.encode("string", forKey: .type)
            try keys.encode(description, forKey: .description)
        case .anything(let description): try keys.encode(description, forKey: .description)
        case .boolean: try keys.encode("boolean", forKey: .type)
        case .integer(let minimum, let maximum):
            try keys.encode("integer", forKey: .type)
            try keys.encode(minimum, forKey: .minimum)
            try keys.encodeIfPresent(maximum, forKey: .maximum)
        case .number(let minimum, let maximum):
            try keys.encode("number", forKey: .type)
            try keys.encodeIfPresent(minimum, forKey: .minimum)
            try keys.encodeIfPresent(maximum, forKey: .maximum)
        case .choice(let values): try keys.encode(values, forKey: .values)
        case .choiceOfNumbers(let values): try keys.encode(values, forKey: .values)
        case .list(let items, let least):
            try keys.encode("array", forKey: .type)
            try keys.encode(items, forKey: .items)
            try keys.encodeIfPresent(least, forKey: .minItems)
        case .map(let values):
            try keys.encode("object", forKey: .type)
            try keys.encode(values, forKey: .additionalProperties)
        case .any(let parts): try keys.encode(parts, forKey: .anyOf)
        case .object(let properties, let required, let oneOf, let isRoot):
            if isRoot {
                try keys.encode("https://json-schema.org/draft/2020-12/schema", forKey: .schema)
                try keys.encode("Longtake pipeline", forKey: .title)
            }
            try keys.encode("object", forKey: .type)
            try keys.encode(properties, forKey: .properties)
            if !required.isEmpty { try keys.encode(required, forKey: .required) }
            if !oneOf.isEmpty { try keys.encode(oneOf.map { ["required": [$0]] }, forKey: .oneOf) }
            try keys.encode(false, forKey: .additionalProperties)
        }
    }
}
