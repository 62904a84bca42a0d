// A number with its noun, for messages. Every target has this file (a link to Sources/Shared).

/// A number with its noun: "1 frame", "2 frames".
///
/// `many` is the plural if it is not the noun plus "s".
func counted(_ number: some BinaryInteger, _ one: String, _ many: String? = nil) -> String {
    number == 1 ? "1 \(one)" : "\(number) \(many ?? one + "s")"
}
