extension IndexOptions {
    /// Which frames get the record of an earlier frame instead of being encoded.
    public enum Reuse: Sendable, Equatable, CustomStringConvertible {
        /// No frame.
        case off
        /// A frame with the same pixels as the one before it; its record is stored again, so the bytes are those of
        /// `off`.
        case exact
        /// A frame that differs from the last encoded one by no more than the recording's own noise.
        case automatic
        /// A frame that differs from the last encoded one by no more than this, in gray levels of 0 to 255; with 0 only
        /// identical frames.
        case threshold(Double)

        /// The names accepted besides a number.
        package static let names = ["off", "exact", "auto"]

        /// Parses `off`, `exact`, `auto` or a number; nil for other text. `validate` checks the number's range.
        package init?(_ text: String) {
            switch text {
            case "off": self = .off
            case "exact": self = .exact
            case "auto": self = .automatic
            default:
                guard let value = Double(text) else { return nil }
                self = .threshold(value)
            }
        }

        /// The text that `init` parses.
        public var description: String {
            switch self {
            case .off: "off"
            case .exact: "exact"
            case .automatic: "auto"
            case .threshold(let value): "\(value)"
            }
        }

        /// False for a threshold that no difference can have.
        package var isInRange: Bool {
            if case .threshold(let value) = self { value.isFinite && (0...255).contains(value) } else { true }
        }

        /// True if a reused frame is stored as a reference, which is another index with another format.
        var makesReferences: Bool { self != .off && self != .exact }

        /// The part of the index key's record field; empty where every frame has its own record.
        var keySuffix: String { makesReferences ? ":reuse=\(self):measure=\(ChangeDetector.version)" : "" }
    }
}
