package import Foundation

/// JSON as the program writes it: keys are sorted, slashes are not escaped.
///
/// Keys are snake_case by the types' `CodingKeys`, not by a strategy of the encoder: renaming a property must not change
/// the output.
package enum JSONText {
    /// Returns an encoder; `pretty` indents.
    package static func encoder(pretty: Bool = false) -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        return encoder
    }

    /// Returns `value` as one line, without a line break; throws for a number that is not finite.
    package static func line(_ value: some Encodable) throws -> String {
        String(decoding: try encoder().encode(value), as: UTF8.self)
    }

    /// Returns `value` as an indented document, without a final line break.
    package static func pretty(_ value: some Encodable) throws -> String {
        String(decoding: try encoder(pretty: true).encode(value), as: UTF8.self)
    }
}
