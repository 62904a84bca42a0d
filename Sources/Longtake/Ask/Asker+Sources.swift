public import Media
public import Store
internal import Models
internal import Tensors

extension Asker {
    /// Asks about an indexed recording.
    ///
    /// Frames in [from, to) of the question, by grid time; none there is an answer too (`found` false).
    public func ask(
        _ question: Question, index reader: IndexReader, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        var answers: [Answer] = []
        try ask([question], index: reader, progress: progress, onText: { onText($1) }, onAnswer: { answers.append($1) })
        guard let answer = answers.first else { throw LongtakeError(code: .badRequest, message: "no question") }
        return answer
    }

    /// Asks several things about an indexed recording, over the range and with the fusion mode of the first question.
    func ask(
        _ questions: [Question], index reader: IndexReader, progress: (Double) -> Void = { _ in },
        onText: (Int, String) -> Bool = { _, _ in true }, onAnswer: (Int, Answer) throws -> Void
    ) throws {
        guard let question = questions.first else { return }
        let kind = RecordKind(rawValue: reader.manifest.key.record.split(separator: ":").first.map(String.init) ?? "")
        guard let kind else {
            throw LongtakeError(
                code: .badRequest,
                message: "the index keeps records of kind \(reader.manifest.key.record), unknown to this version")
        }
        guard reader.manifest.key.model == loaded.hash else {
            throw LongtakeError(
                code: .badRequest,
                message:
                    "the index was made with \(reader.manifest.modelName), another model; index again with this one")
        }
        let codec = RecordCodec(kind: kind, model: loaded.llava)
        let buffers = RecordBuffers(codec: codec, layout: try codec.layout(), compute: loaded.compute)
        let (from, to) = (question.from ?? -.infinity, question.to ?? .infinity)
        let frames = reader.entries.indices.filter {
            reader.entries[$0].gridTime >= from && reader.entries[$0].gridTime < to
        }
        let source = Source(
            recording: .init(id: Library.id(content: reader.manifest.key.content), path: reader.manifest.path),
            times: frames.map { reader.entries[$0].gridTime },
            patches: { try buffers.readPatches(reader, frame: frames[$0], into: $1) },
            tokens: { try buffers.readToken(reader, frame: frames[$0], into: $1) }, notes: reader.manifest.warnings)
        _ = try ask(questions, of: source, progress: progress, onText: onText) { place, answer in
            var answer = answer
            if !answer.found {
                let last = reader.entries.last?.gridTime ?? 0
                answer.answer = "no frames in range"
                answer.notes.append("no frames in range: the recording's frames are at 0 to \(last) s")
            }
            try onAnswer(place, answer)
        }
    }

    /// Asks about a still picture, laid out as the reference does for `image_aspect_ratio` and `resolution_ratio`.
    public func ask(
        _ question: Question, picture: RGBImage, name: String, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        let model = loaded.llava
        let preprocessing = loaded.preprocessing
        var frame = Frame()
        let ratio = model.fusion.partCount > 1 ? model.fusion.resolutionRatio : 1
        frame.rgb = preprocessing.parts(picture, ratio: ratio).flatMap { preprocessing.picture($0).pixels }
        let encoder = FrameEncoder(loaded)
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        let patches = Buffer<Float>(count: rows * width)
        let tokens = Buffer<Float>(count: model.fusion.tokensPerFrame * model.hiddenSize)
        let patchBlock = Block(patches.pointer, rows: rows, columns: width)
        let tokenBlock = Block(tokens.pointer, rows: model.fusion.tokensPerFrame, columns: model.hiddenSize)
        encoder.encode([frame], count: 1) { _, token, block in
            loaded.compute.convert(token, into: tokenBlock)
            loaded.compute.convert(block, into: patchBlock)
        }
        let source = Source(
            recording: .init(id: "", path: name), times: [0],
            patches: { [compute = loaded.compute] _, out in compute.convert(patchBlock, into: out) },
            tokens: { [compute = loaded.compute] _, out in compute.convert(tokenBlock, into: out) }, notes: [])
        return try ask(question, of: source, progress: progress, onText: onText)
    }
}
