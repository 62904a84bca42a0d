import ArgumentParser
import Glibc
package import Longtake

extension DecimalNumber: ExpressibleByArgument {
    /// Parses a command-line argument; nil if it is not a decimal number.
    init?(argument: String) { self.init(argument) }
}

/// A time in seconds or with units: 90, 1.5, 10m, 2h, 01:30, 01:30:00.250.
struct TimeArgument: ExpressibleByArgument {
    let seconds: Double

    init?(argument: String) {
        guard let seconds = TimeText.seconds(argument) else { return nil }
        self.seconds = seconds
    }
}

/// A path as it was typed; if it is not valid UTF-8, its original bytes are recovered from the process's arguments.
struct PathArgument: ExpressibleByArgument {
    let path: InputPath

    /// True if the text came from bytes that are not valid UTF-8.
    static func wasRepaired(_ text: String) -> Bool {
        raw(text).map { String(validating: $0.bytes, as: UTF8.self) == nil } ?? false
    }

    init?(argument: String) {
        path = Self.raw(argument) ?? InputPath(argument)
    }

    private static func raw(_ text: String) -> InputPath? {
        guard text.unicodeScalars.contains("\u{FFFD}") else { return nil }
        for index in 1..<max(Int(CommandLine.argc), 1) {
            guard let argument = CommandLine.unsafeArgv[index] else { continue }
            let bytes = Array(UnsafeBufferPointer(start: argument, count: strlen(argument))).map {
                UInt8(bitPattern: $0)
            }
            if String(decoding: bytes, as: UTF8.self) == text { return InputPath(bytes: bytes) }
        }
        return nil
    }
}
