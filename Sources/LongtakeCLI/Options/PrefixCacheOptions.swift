import ArgumentParser
import Longtake

/// Options for when the prefix cache is built.
struct PrefixCacheOptions: ParsableArguments {
    @Option(
        .prefixCache,
        """
        When to build the prefix cache, which all questions about a recording share: auto (the default: while indexing, if \
        it saves each question 0.2 s or more), now (while indexing), lazy (at the first question) or never.
        """, completion: .list(values))
    var prefixCache: String?

    /// The earlier name of --prefix-cache.
    @Option(help: .hidden)
    var derive: String?

    private static let values = PrefixCache.Policy.allCases.filter { $0 != .autoLazy }.map(\.rawValue)

    func policy() throws -> PrefixCache.Policy {
        if prefixCache != nil, derive != nil {
            throw UsageError("--derive is the earlier name of --prefix-cache: give one of them")
        }
        let word = try OptionName.prefixCache.choice(prefixCache ?? derive, of: Self.values)
        return word.flatMap(PrefixCache.Policy.init) ?? .auto
    }

    /// Questions build only the prefix cache that they need themselves.
    func policyOfQuestions() throws -> PrefixCache.Policy {
        switch try policy() {
        case .auto: .autoLazy
        case .now: .lazy
        case let other: other
        }
    }
}
