internal import Checkpoints
package import Media
internal import Models
package import Store
internal import Tensors

extension Asker {
    /// Asks about an indexed recording.
    ///
    /// Uses the frames in the question's [from, to) on the file's timeline. If there are none, the answer has `found`
    /// false.
    package func ask(
        _ question: Question, index reader: IndexReader, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        var answers: [Answer] = []
        try ask([question], index: reader, progress: progress, onText: { onText($1) }, onAnswer: { answers.append($1) })
        guard let answer = answers.first else { throw LongtakeError(code: .badRequest, message: "no question") }
        return answer
    }

    /// Asks several questions about an indexed recording, over the range and with the fusion mode of the first.
    func ask(
        _ questions: [Question], index reader: IndexReader, progress: (Double) -> Void = { _ in },
        onText: (Int, String) -> Bool = { _, _ in true }, onAnswer: (Int, Answer) throws -> Void
    ) throws {
        guard let question = questions.first else { return }
        let source = try source(reader, from: question.from, to: question.to)
        _ = try ask(questions, of: source, progress: progress, onText: onText) { place, answer in
            var answer = answer
            if answer.frames == 0 {
                answer.answer = "no frames in range"
                answer.notes.append(Self.noFrames(reader))
            }
            try onAnswer(place, answer)
        }
    }

    /// The note for an empty range, with the times at which the recording has frames.
    static func noFrames(_ reader: IndexReader) -> String {
        let clock = reader.manifest.clock
        let (first, last) = (clock.fileTime(0), clock.fileTime(reader.entries.last?.gridTime ?? 0))
        return
            "no frames in range: the recording's frames are at \(TimeText.number(first)) to \(TimeText.number(last)) s"
    }

    /// The frames of an index in [from, to) on the file's timeline.
    ///
    /// - Throws: `LongtakeError` `bad_request` for an index of another model or with an unknown record kind.
    package func source(_ reader: IndexReader, from: Double?, to: Double?) throws -> Source {
        let manifest = reader.manifest
        let kind = RecordKind(rawValue: manifest.key.record.split(separator: ":").first.map(String.init) ?? "")
        guard let kind else {
            throw LongtakeError(
                code: .badRequest,
                message: "the index keeps records of kind \(manifest.key.record), unknown to this version")
        }
        guard manifest.key.model == loaded.hash else {
            throw LongtakeError(
                code: .badRequest,
                message: "the index was made with \(manifest.modelName), another model; index again with this one")
        }
        let codec = RecordCodec(kind: kind, model: loaded.llava)
        let buffers = RecordBuffers(codec: codec, layout: try codec.layout(), compute: loaded.compute)
        let (from, to) = (from ?? -.infinity, to ?? .infinity)
        // Grid times ascend, so the frames of a range are consecutive.
        let clock = manifest.clock
        let inside = reader.entries.indices.filter {
            let time = clock.fileTime(reader.entries[$0].gridTime)
            return time >= from && time < to
        }
        let frames = (inside.first ?? 0)..<(inside.last.map { $0 + 1 } ?? 0)
        func places(_ wanted: [Int]) -> [Int] {
            let first = frames.first ?? 0
            return wanted.filter { frames.contains($0) }.map { $0 - first }
        }
        return Source(
            recording: .init(
                id: Library.id(content: manifest.key.content), path: manifest.path, index: manifest.key.id),
            times: frames.map { reader.entries[$0].gridTime }, numbers: frames.map { Int(reader.entries[$0].index) },
            frameSeconds: manifest.key.frameSeconds, clock: clock,
            sample: places(PatchSample.indices(frames: reader.entries.count)),
            readable: reader.hasAllPatches ? nil : places(reader.patchFrames), made: manifest.created,
            patches: { try buffers.readPatches(reader, frame: frames.lowerBound + $0, into: $1) },
            tokens: { try buffers.readToken(reader, frame: frames.lowerBound + $0, into: $1) }, notes: manifest.warnings
        )
    }

    /// Asks about a still image, laid out as in the reference for `image_aspect_ratio` and `resolution_ratio`.
    package func ask(
        _ question: Question, picture: RGBImage, name: String, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        let model = loaded.llava
        let preprocessing = loaded.preprocessing
        var frame = Frame()
        let ratio = model.fusion.partCount > 1 ? model.fusion.resolutionRatio : 1
        frame.rgb = preprocessing.parts(picture, ratio: ratio).flatMap { preprocessing.square($0).pixels }
        let encoder = FrameEncoder(loaded)
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        let patches = Buffer<Float>(count: rows * width)
        let tokens = Buffer<Float>(count: model.fusion.tokensPerFrame * model.hiddenSize)
        let patchBlock = MatrixView(patches.pointer, rows: rows, columns: width)
        let tokenBlock = MatrixView(tokens.pointer, rows: model.fusion.tokensPerFrame, columns: model.hiddenSize)
        try encoder.encode([frame]) { _, encoded in
            loaded.compute.convert(encoded.token, into: tokenBlock)
            loaded.compute.convert(encoded.patches, into: patchBlock)
        }
        let source = Source(
            recording: .init(id: "", path: name), times: [0], numbers: [0], frameSeconds: 0,
            patches: { [compute = loaded.compute] _, out in compute.convert(patchBlock, into: out) },
            tokens: { [compute = loaded.compute] _, out in compute.convert(tokenBlock, into: out) }, notes: [])
        return try ask(question, of: source, progress: progress, onText: onText)
    }
}

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
