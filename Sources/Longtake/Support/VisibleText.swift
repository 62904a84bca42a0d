/// Text from recordings, models and file names, made safe to be shown.
package enum VisibleText {
    /// True for a character that could control a terminal or reorder the text around it: control characters, line and
    /// paragraph separators, bidirectional marks and tags.
    package static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x206F, 0x061C, 0xFEFF,
            0xFFF9...0xFFFB, 0xE0000...0xE007F:
            true
        default: false
        }
    }

    /// The text with each such character written as `\u{1b}`.
    ///
    /// - Parameter keeping: characters that stay as they are.
    package static func escaped(_ text: String, keeping: Set<Unicode.Scalar> = []) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            if isControl(scalar), !keeping.contains(scalar) {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }

    /// JSON with such characters as `\u` sequences; they occur only in its strings.
    ///
    /// - Parameter others: further characters to write like that.
    package static func escaped(json: String, others: Set<Unicode.Scalar> = []) -> String {
        // JSON's own encoder has escaped what is below 0x20; line breaks between values stay.
        func isMeant(_ scalar: Unicode.Scalar) -> Bool {
            scalar.value >= 0x7F && isControl(scalar) || others.contains(scalar)
        }
        guard json.unicodeScalars.contains(where: isMeant) else { return json }
        return json.unicodeScalars.reduce(into: "") { result, scalar in
            guard isMeant(scalar) else { return result.unicodeScalars.append(scalar) }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
    }
}
