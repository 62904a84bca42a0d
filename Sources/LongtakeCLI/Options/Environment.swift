import Foundation
import Longtake

/// Every option has an environment variable, `LONGTAKE_` and its name; the option takes precedence.
enum Environment {
    static func text(_ name: String) -> String? {
        guard let value = ProcessInfo.processInfo.environment["LONGTAKE_" + name], !value.isEmpty else { return nil }
        return value
    }

    /// - Throws: a usage error for a value of another type.
    static func value<Value: LosslessStringConvertible>(_ name: String, _ type: Value.Type = Value.self) throws
        -> Value?
    {
        guard let text = text(name) else { return nil }
        guard let value = Value(text) else {
            throw UsageError("LONGTAKE_\(name)=\(text) is not a whole number")
        }
        return value
    }

    /// - Throws: a usage error for a value that is not a decimal number.
    static func number(_ name: String) throws -> Double? {
        guard let text = text(name) else { return nil }
        guard let number = DecimalNumber(text) else {
            throw UsageError("LONGTAKE_\(name)=\(text) is not a number")
        }
        return number.value
    }

    /// The variable's value in seconds.
    ///
    /// - Throws: a usage error for a value that is not a time.
    static func time(_ name: String) throws -> Double? {
        guard let text = text(name) else { return nil }
        guard let seconds = TimeText.seconds(text) else { throw UsageError("LONGTAKE_\(name)=\(text) is not a time") }
        return seconds
    }

    static func flag(_ name: String) -> Bool { ["1", "ON", "YES", "TRUE"].contains(text(name)?.uppercased()) }

    /// The folder $XDG_…/longtake; a relative value is ignored, as the XDG specification requires.
    static func folder(_ own: String, service: String, xdg: String, fallback: String) -> String {
        let environment = ProcessInfo.processInfo.environment
        if let set = text(own) { return set }
        if let set = environment[service], set.hasPrefix("/") { return set }
        if let base = environment[xdg], base.hasPrefix("/") { return base + "/longtake" }
        return (environment["HOME"] ?? NSHomeDirectory()) + fallback + "/longtake"
    }
}

/// Incorrect usage; exit status 64.
struct UsageError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
