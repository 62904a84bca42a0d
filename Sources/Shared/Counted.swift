// How many of something, for messages. Every target has this file (a link to Sources/Shared).

/// "1 frame", "2 frames"; `many` where the plural is not the word and an s.
func counted(_ number: some BinaryInteger, _ one: String, _ many: String? = nil) -> String {
    number == 1 ? "1 \(one)" : "\(number) \(many ?? one + "s")"
}
