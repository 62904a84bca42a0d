import ArgumentParser
import Foundation
import Longtake

/// The name of an option that an environment variable sets too: `--max-tokens` and `LONGTAKE_MAX_TOKENS`.
///
/// The option takes precedence. All such pairs are declared here; help texts and messages take both names from here.
struct OptionName: Sendable {
    /// The option, with its dashes.
    let option: String
    /// The environment variable.
    let variable: String
    /// The variable's earlier name; read if `variable` is not set.
    let earlierVariable: String?
    /// The one-letter option.
    let short: Character?

    private init(_ name: String, variable: String? = nil, earlier: String? = nil, short: Character? = nil) {
        func upper(_ name: String) -> String { name.uppercased().replacingOccurrences(of: "-", with: "_") }
        option = "--" + name
        self.variable = "LONGTAKE_" + upper(variable ?? name)
        earlierVariable = earlier.map { "LONGTAKE_" + upper($0) }
        self.short = short
    }

    // Input files.
    static let filesFrom = Self("files-from")
    static let filesFrom0 = Self("files-from0")
    static let exclude = Self("exclude")
    static let require = Self("require")
    static let minAge = Self("min-age")

    // Time of day.
    static let clock = Self("clock")
    static let timezone = Self("timezone")

    // Decoding and sampling.
    static let fps = Self("fps")
    static let sampling = Self("sampling")
    static let stream = Self("stream")
    static let maxDuration = Self("max-duration")
    static let maxFrames = Self("max-frames")
    static let keepCorrupt = Self("keep-corrupt")
    static let decodeThreads = Self("decode-threads")
    static let watchdog = Self("watchdog")

    // Indexing.
    static let record = Self("record")
    static let keep = Self("keep")
    static let reuse = Self("reuse")
    static let waitLock = Self("wait-lock")
    static let maxRuntime = Self("max-runtime")
    static let metricsTextfile = Self("metrics-textfile")
    static let prefixCache = Self("prefix-cache", earlier: "derive")

    // The model and computing with it.
    static let model = Self("model", short: "m")
    static let precision = Self("precision")
    static let backend = Self("backend")
    static let threads = Self("threads")
    static let memory = Self("memory")
    static let keyValues = Self("kv")

    // Folders.
    static let cacheDir = Self("cache-dir")
    static let dataDir = Self("data-dir")
    static let cacheMax = Self("cache-max", variable: "cache-max-bytes")
    /// `cache prune --max`, which has the variable of `--cache-max`.
    static let pruneMax = Self("max", variable: "cache-max-bytes")

    // Answers.
    static let maxTokens = Self("max-tokens")
    static let temperature = Self("temperature")
    static let topP = Self("top-p")
    static let seed = Self("seed")
    static let fusion = Self("fusion")
    static let fusionFrames = Self("fusion-frames")
    static let fusionError = Self("fusion-error")
    static let evidence = Self("evidence")
    static let focus = Self("focus")
    static let format = Self("format")

    // Output.
    static let quiet = Self("quiet", short: "q")
    static let noProgress = Self("no-progress")
}

// MARK: - Declaration

extension OptionName {
    fileprivate var specification: NameSpecification {
        let long = NameSpecification.Element.customLong(String(option.dropFirst(2)))
        return NameSpecification([long] + (short.map { [.customShort($0)] } ?? []))
    }

    /// The help text, which ends in the variable's name and `note`, if there is one.
    fileprivate func help(_ text: String, _ note: String?, _ valueName: String?) -> ArgumentHelp {
        ArgumentHelp("\(text) (env: \(variable)\(note.map { ", " + $0 } ?? ""))", valueName: valueName)
    }
}

extension Option {
    /// Declares an option that an environment variable sets too.
    ///
    /// - Parameter environmentNote: text after the variable's name in the help.
    init<T: ExpressibleByArgument>(
        _ name: OptionName, _ help: String, environmentNote: String? = nil, valueName: String? = nil,
        completion: CompletionKind? = nil
    ) where Value == T? {
        self.init(
            name: name.specification, help: name.help(help, environmentNote, valueName), completion: completion)
    }

    /// Declares a repeatable option that an environment variable sets too.
    init<T: ExpressibleByArgument>(
        wrappedValue: [T], _ name: OptionName, _ help: String, environmentNote: String? = nil,
        valueName: String? = nil
    ) where Value == [T] {
        self.init(
            wrappedValue: wrappedValue, name: name.specification, help: name.help(help, environmentNote, valueName))
    }
}

extension Flag where Value == Bool {
    /// Declares a flag that an environment variable sets too.
    init(wrappedValue: Bool, _ name: OptionName, _ help: String) {
        self.init(wrappedValue: wrappedValue, name: name.specification, help: name.help(help, nil, nil))
    }
}

// MARK: - Values

/// A type that an environment variable may have.
protocol EnvironmentValue: ExpressibleByArgument {
    /// Describes a valid value: "a whole number".
    static var kind: String { get }
}

extension Int: EnvironmentValue { static var kind: String { "a whole number" } }
extension UInt64: EnvironmentValue { static var kind: String { "a whole number from 0" } }
extension String: EnvironmentValue { static var kind: String { "text" } }
extension DecimalNumber: EnvironmentValue { static var kind: String { "a number" } }
extension TimeArgument: EnvironmentValue { static var kind: String { "a time; use 90, 10m or 01:30:00" } }
extension PathArgument: EnvironmentValue { static var kind: String { "a path" } }

extension OptionName {
    /// The name and text of the variable that is set; nil if neither it nor its earlier name is, or if it is empty.
    private var environment: (variable: String, text: String)? {
        for name in [variable, earlierVariable].compactMap(\.self) {
            if let text = ProcessInfo.processInfo.environment[name], !text.isEmpty { return (name, text) }
        }
        return nil
    }

    /// The variable's text; nil if it is not set or empty.
    var environmentText: String? { environment?.text }

    /// The variable's value; nil if it is not set.
    ///
    /// - Throws: a usage error for a value of another type.
    func environmentValue<Value: EnvironmentValue>(_ type: Value.Type = Value.self) throws -> Value? {
        guard let (variable, text) = environment else { return nil }
        guard let value = Value(argument: text) else {
            throw UsageError("\(variable)=\(text) is not \(Value.kind)")
        }
        return value
    }

    /// The option's value, else `file`'s (a pipeline's), else the variable's.
    func value<Value: EnvironmentValue>(_ typed: Value?, else file: Value? = nil) throws -> Value? {
        try typed ?? file ?? environmentValue()
    }

    /// True if the flag is given, or the variable is 1, on, yes or true.
    func isOn(_ typed: Bool) -> Bool {
        typed || ["1", "ON", "YES", "TRUE"].contains(environmentText?.uppercased())
    }

    /// The option or the variable, whichever sets the value: for messages about it.
    func source(typed: Bool) -> String { typed ? option : environment?.variable ?? option }

    /// The option's or the variable's value.
    ///
    /// - Throws: a usage error for a value out of range.
    func value(_ typed: Int?, in range: ClosedRange<Int>) throws -> Int? {
        guard let value = try value(typed) else { return nil }
        guard range.contains(value) else {
            let limits =
                range.upperBound == .max
                ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
            throw UsageError("\(source(typed: typed != nil)) must be \(limits), not \(value)")
        }
        return value
    }

    /// The option's value, else `file`'s (a pipeline's), else the variable's.
    ///
    /// - Throws: a usage error for a value that is not one of `known`; it suggests the nearest one.
    func choice(
        _ typed: String?, else file: String? = nil, of known: [String], code: String = "usage"
    ) throws -> String? {
        guard let text = try value(typed, else: file) else { return nil }
        return try Choice.check(text, source(typed: typed != nil), of: known, code: code)
    }
}

/// Options with a fixed list of values.
enum Choice {
    /// Returns `text`.
    ///
    /// - Throws: a usage error if it is not one of `known`; it suggests the nearest one.
    static func check(_ text: String, _ source: String, of known: [String], code: String = "usage") throws -> String {
        guard !known.contains(text) else { return text }
        throw unknown(text, source, use: list(known), known, code: code)
    }

    /// The error for a value that is not known; `use` describes the valid ones.
    static func unknown(_ text: String, _ source: String, use: String, _ known: [String], code: String = "usage")
        -> UsageError
    {
        let near = Spelling.suggestion(for: text, among: known).map { "; did you mean \($0)?" } ?? ""
        return UsageError("invalid \(source) \"\(text)\"; use \(use)\(near)", code: code)
    }

    /// "a, b or c".
    static func list(_ words: [String]) -> String {
        guard words.count > 1, let last = words.last else { return words.joined() }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }
}
