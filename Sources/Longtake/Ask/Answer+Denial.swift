extension Answer {
    /// True if the text denies something: a denial can be right without any frame to show.
    public static func isDenial(_ text: String) -> Bool {
        let denials: Set<String> = [
            "no", "not", "nothing", "none", "nobody", "never", "nowhere", "neither", "without", "cannot", "zero",
            "empty",
        ]
        return text.lowercased().split { !$0.isLetter && $0 != "'" && $0 != "’" }.contains {
            denials.contains(String($0)) || $0.hasSuffix("n't") || $0.hasSuffix("n’t")
        }
    }
}
