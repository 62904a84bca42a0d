import ArgumentParser
import Longtake

/// Options for decoding and sampling frames.
struct SamplingOptions: ParsableArguments {
    @Option(.fps, "Frames per second; 1 by default.")
    var fps: DecimalNumber?

    @Option(
        .sampling,
        """
        grid (the default): the frame shown at t = 0, 1, 2 … s. reference: the middle of each second, as LLaVA-Mini \
        samples. keyframes: the key frames only, at their own times; --fps does not apply.
        """, completion: .list(IndexOptions.samplings))
    var sampling: String?

    @Option(
        .stream,
        """
        Index of the file's video stream to decode. By default one that is not a single image; of several the default \
        stream, the largest, the first.
        """)
    var stream: Int?

    @Option(
        .maxDuration,
        "Maximum duration of a recording; the rest is left out (status partial). 90, 10m; 24h by default.")
    var maxDuration: TimeArgument?

    @Option(.maxFrames, "Maximum number of frames of a recording; 10000000 by default.")
    var maxFrames: Int?

    @Flag(.keepCorrupt, "Also take frames that the decoder flags as damaged.")
    var keepCorrupt = false

    @Option(
        .reuse,
        """
        Which frames get the record of an earlier frame instead of being encoded. exact (the default): those with the same \
        pixels. off: none. auto: those that differ from the last encoded frame by no more than the recording's own noise. \
        A number T from 0 to 255: by no more than T gray levels. With auto and T such a record takes 40 bytes.
        """, completion: .list(IndexOptions.Reuse.names))
    var reuse: String?

    @Option(.decodeThreads, "Number of decoder threads; by default two per CPU, at most 8.")
    var decodeThreads: Int?

    @Option(.watchdog, "Stop the decoder after this time without progress; 60 s by default, more for slow storage.")
    var watchdog: TimeArgument?

    /// - Parameter file: a pipeline, whose settings come after the options and before the environment.
    func options(
        record: String? = nil, keep: String? = nil, waitLock: TimeArgument? = nil, in file: PipelineSampling? = nil
    ) throws -> IndexOptions {
        var options = IndexOptions()
        try options.set(
            sampling: OptionName.sampling.choice(
                sampling, else: file?.sampling, of: IndexOptions.samplings, code: "bad_request")
                ?? IndexOptions.samplings[0],
            record: OptionName.record.choice(
                record, else: file?.record, of: IndexOptions.records, code: "bad_request")
                ?? IndexOptions.records[0],
            keep: OptionName.keep.choice(keep, else: file?.keep, of: IndexOptions.keeps, code: "bad_request"))
        if let seconds = try OptionName.waitLock.value(waitLock)?.seconds { options.lockWait = seconds }
        options.framesPerSecond =
            try fps?.value ?? file?.framesPerSecond ?? OptionName.fps.environmentValue(DecimalNumber.self)?.value ?? 1
        guard options.framesPerSecond >= 0.001, options.framesPerSecond <= 240 else {
            let source = OptionName.fps.source(typed: fps != nil || file?.framesPerSecond != nil)
            throw UsageError("\(source) must be 0.001 to 240, not \(options.framesPerSecond)")
        }
        if options.samplesKeyFrames {
            guard fps == nil else { throw UsageError("--fps does not apply to --sampling keyframes") }
            options.framesPerSecond = 1
        }
        options.stream = try stream ?? file?.stream ?? OptionName.stream.environmentValue()
        if let stream = options.stream, stream < 0 {
            throw UsageError("\(OptionName.stream.source(typed: self.stream != nil)) must be 0 or more, not \(stream)")
        }
        options.reuse = try reuse(in: file)
        options.maxDuration =
            try maxDuration?.seconds ?? file?.maxDuration ?? OptionName.maxDuration.value(nil as TimeArgument?)?.seconds
            ?? options.maxDuration
        guard options.maxDuration > 0 else {
            throw UsageError(
                "\(OptionName.maxDuration.source(typed: maxDuration != nil)) must be above 0, not \(options.maxDuration)"
            )
        }
        options.maxFrames =
            try OptionName.maxFrames.value(maxFrames ?? file?.maxFrames, in: 1...Int.max) ?? options.maxFrames
        options.keepCorrupt = OptionName.keepCorrupt.isOn(keepCorrupt || file?.keepCorrupt == true)
        options.watchdog = try OptionName.watchdog.value(watchdog)?.seconds ?? options.watchdog
        options.decodeThreads = try OptionName.decodeThreads.value(decodeThreads, in: 1...16) ?? 0
        return options
    }

    private func reuse(in file: PipelineSampling?) throws -> IndexOptions.Reuse {
        if reuse == nil, let value = file?.reuse { return value }
        guard let text = try OptionName.reuse.value(reuse) else { return .exact }
        let source = OptionName.reuse.source(typed: reuse != nil)
        guard let value = IndexOptions.Reuse(text) else {
            throw Choice.unknown(
                text, source, use: "off, exact, auto or a number from 0 to 255", IndexOptions.Reuse.names,
                code: "bad_request")
        }
        guard value.isInRange else { throw UsageError("\(source) must be 0 to 255 gray levels, not \(text)") }
        return value
    }
}
