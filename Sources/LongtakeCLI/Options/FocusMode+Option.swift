import Longtake

extension FocusMode {
    /// The value of --focus or its variable; automatic if neither is set.
    ///
    /// - Throws: a usage error for another value.
    init(option: String?) throws {
        let value = try OptionName.focus.value(option) ?? "auto"
        switch value {
        case "auto": self = .automatic
        case "off": self = .off
        default:
            guard let count = Int(value), (1...100_000).contains(count) else {
                throw Choice.unknown(
                    value, OptionName.focus.source(typed: option != nil),
                    use: "auto, off or a number of frames from 1 to 100000", ["auto", "off"])
            }
            self = .frames(count)
        }
    }
}
