import ArgumentParser
import Longtake

/// The type of cached keys and values.
struct KeyValueOptions: ParsableArguments {
    @Option(
        .keyValues,
        """
        Type of the language model's cached keys and values: auto (the default: as it computes), bf16 or int8, which takes \
        half of bf16's memory and of the prefix cache.
        """, completion: .list(ModelSettings.keyValueTypes))
    var kv: String?

    /// - Throws: a usage error for an unknown type.
    func check() throws { _ = try choice() }

    private func choice() throws -> String? {
        try OptionName.keyValues.choice(kv, of: ModelSettings.keyValueTypes, code: "bad_request")
    }

    /// Sets the type in `settings`: the option's, else `file`'s (a pipeline's), else the environment's.
    func apply(to settings: inout ModelSettings, file: String? = nil) throws {
        let text = if kv == nil, let file { file } else { try choice() }
        if let text { try settings.set(keyValues: text) }
    }
}
