internal import Media
internal import Store

/// All fields of an index key except the content.
struct IndexSettings: Sendable {
    private let settings: IndexKey
    /// ID of these settings, different for all other settings.
    let signature: String

    init(_ options: IndexOptions, _ model: ModelIdentity) {
        settings = IndexKey(
            content: "", stream: options.stream ?? -1,
            sampling: "\(options.sampling.rawValue):\(options.framesPerSecond)"
                + (options.keepCorrupt ? ":corrupt" : "") + ":\(options.maxDuration):\(options.maxFrames)",
            preprocessing: "decode=2;" + model.preprocessing + ";parts=\(model.partCount)", model: model.hash,
            record: RecordCodec.name(options.record, precision: model.precision, embeddingSize: model.embeddingSize)
                + options.reuse.keySuffix,
            formatVersion: options.reuse.makesReferences
                ? IndexKey.referenceFormatVersion : IndexKey.currentFormatVersion)
        signature = settings.id
    }

    func key(content: String) -> IndexKey {
        var key = settings
        key.content = content
        return key
    }

    /// Returns the signature of the settings an index was made with.
    static func signature(of key: IndexKey) -> String {
        var settings = key
        settings.content = ""
        return settings.id
    }
}
