extension Asker {
    /// Builds an answer from the passes over its question; nil: the range has no frame.
    ///
    /// - Parameter reused: whether the prefix cache existed before the question.
    func makeAnswer(
        _ question: Question, _ source: FrameSource, _ context: AnswerContext, _ passes: AnswerPasses?,
        reused: Bool = false
    ) -> Answer {
        let (last, all) = (passes?.last, passes?.all ?? [])
        let generation = last?.generation
        let range = [source.times.first, source.times.last].compactMap { $0 }
        let emptyNote = passes == nil ? source.emptyNote : nil
        func dayTimes(_ times: [Double]?) -> [String]? {
            source.clock.wall.flatMap { wall in times.map { $0.map(wall.rfc3339) } }
        }
        return Answer(
            question: question.text, answer: last?.text ?? "no frames in range", modelText: last?.modelText,
            form: question.form?.name, value: last?.value, tokenIDs: generation?.tokenIDs ?? [],
            found: last?.found ?? false,
            foundScore: generation?.attention.share.map(Evidence.rounded), certainty: generation?.certainty,
            evidence: last?.evidence ?? [], attention: generation?.attention.located.map { Float($0) } ?? [],
            recording: .init(
                id: source.recording.id, path: context.path ?? source.recording.path, index: source.recording.index,
                camera: source.recording.camera, clock: source.recording.clock),
            frames: source.times.count, range: range.map(source.clock.fileTime), rangeFromFirstFrame: range,
            rangeClock: dayTimes(range.map(source.clock.fileTime)), segment: context.segment,
            segmentFromFirstFrame: context.segment?.map(source.clock.fromFirstFrame),
            segmentClock: dayTimes(context.segment),
            fusion: last?.fusion.summary ?? FusionSummary(frames: 0, of: 0, relativeStandardError: nil),
            reused: reused, focus: passes?.focus, stop: generation?.stop ?? .noFramesInRange,
            timings: Answer.Timings(
                load: loaded.loadSeconds, index: context.indexSeconds,
                fuse: all.reduce(0) { $0 + $1.fusion.fuseSeconds },
                prefill: all.reduce(0) { $0 + $1.fusion.prefixSeconds + $1.generation.prefillSeconds },
                decode: all.reduce(0) { $0 + $1.generation.decodeSeconds },
                firstToken: generation?.firstTokenSeconds ?? 0, secondsPerFrame: context.secondsPerFrame,
                secondsPerToken: generation?.secondsPerToken ?? passes?.first.generation.secondsPerToken,
                peakMemoryBytes: ProcessMemory.peakBytes),
            model: loaded.name, created: context.created,
            notes: loaded.notes + source.notes + (passes?.notes ?? []) + [emptyNote].compactMap(\.self)
                + context.notes,
            caution: Answer.caution)
    }
}
