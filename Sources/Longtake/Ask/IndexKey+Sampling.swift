internal import Media
internal import Store

extension IndexKey {
    /// The options a recording was sampled with, parsed from `Indexer.key`'s "grid:1.0:corrupt:86400.0:10000000".
    var samplingOptions: IndexOptions {
        let parts = sampling.split(separator: ":").map(String.init)
        var options = IndexOptions()
        if let first = parts.first, let known = FrameRequest.Sampling(rawValue: first) { options.sampling = known }
        if parts.count > 1, let rate = Double(parts[1]), rate > 0 { options.framesPerSecond = rate }
        options.keepCorrupt = parts.contains("corrupt")
        options.stream = stream >= 0 ? stream : nil
        return options
    }

    /// Seconds of video per frame.
    var frameSeconds: Double { 1 / samplingOptions.framesPerSecond }
}
