internal import Glibc
internal import Models
internal import Store
internal import Tensors

/// Answers questions from an index: fuses the text with frames, lays the vision tokens between, lets the model speak.
public final class Asker {
    let loaded: LoadedModel
    private var model: LlavaMini { loaded.llava }

    public init(_ model: LoadedModel) {
        loaded = model
    }

    /// Where the frames of a question come from: an index, or pictures encoded on the spot.
    struct Source {
        let recording: Answer.RecordingReference
        /// Grid times of the frames asked about, in order.
        let times: [Double]
        /// Writes frame i's patches [R, D] f32.
        let patches: (Int, Block) throws -> Void
        /// Writes frame i's vision token rows [C2, H] f32.
        let tokens: (Int, Block) throws -> Void
        let notes: [String]
    }

    /// - Parameters:
    ///   - progress: fraction done of the work before the first token.
    ///   - onText: gets the answer's text as it comes; returning false ends it.
    /// - Throws: `ModelError` when the prompt does not fit the context or a value is not a number; `StoreError` for a
    ///   damaged record; `TokenizerError` for a question that breaks the rules.
    func ask(
        _ question: Question, of source: Source, progress: (Double) -> Void = { _ in },
        onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        let clock = ContinuousClock()
        let start = clock.now
        var answer = Answer(
            question: question.text, answer: "", tokenIDs: [], found: false, recording: source.recording,
            frames: source.times.count, range: [source.times.first, source.times.last].compactMap { $0 },
            fusion: FusionSummary(frames: 0, of: 0, relativeStandardError: 0), stop: "no_frames_in_range",
            timings: Answer.Timings(), model: loaded.name, notes: loaded.notes + source.notes)
        let prompt = try loaded.prompt(question.text)
        answer.timings.load = loaded.loadSeconds
        answer.timings.peakMemoryBytes = ProcessMemory.peakBytes
        guard !source.times.isEmpty else { return answer }
        let text = try TextFusion(ids: prompt.ids, model: model)
        try checkContext(prompt, frames: source.times.count, maxTokens: question.maxTokens)

        answer.fusion = try fuse(text, source, question.fusion) { progress(0.9 * $0) }
        answer.timings.fuse = (clock.now - start).seconds
        let perFrame = model.fusion.tokensPerFrame
        var readFailure: (any Error)?
        let fused = FusedPrompt(text: text, visionTokens: source.times.count * perFrame) { range, block in
            do {
                try self.readTokens(range, perFrame: perFrame, source, into: block)
            } catch {
                readFailure = readFailure ?? error
            }
        }
        let beforePrefill = clock.now
        var firstToken: ContinuousClock.Instant?
        var stream = StreamingDecoder(tokenizer: loaded.tokenizer)
        var (ended, late) = (false, false)
        let result = try model.language.answer(
            fused, sampling: question.sampling, maxTokens: question.maxTokens, stopIDs: loaded.stopIDs,
            progress: { progress(0.9 + 0.1 * Double($0) / Double(max(fused.count, 1))) }
        ) { id, _ in
            if readFailure != nil { return false }
            if firstToken == nil { firstToken = clock.now }
            let piece = stream.append(id)
            if !piece.isEmpty {
                answer.answer += piece
                ended = !onText(piece)
            }
            late = (clock.now - beforePrefill).seconds >= question.timeLimit
            return !ended && !late
        }
        if let readFailure { throw readFailure }
        let rest = stream.finish()
        answer.answer += rest
        if !rest.isEmpty, !ended { _ = onText(rest) }
        let finished = clock.now

        answer.found = true
        answer.tokenIDs = result.ids
        answer.stop = late && !ended && result.stop == .cancelled ? "time_limit" : result.stop.rawValue
        let first = firstToken ?? finished
        answer.timings.prefill = (first - beforePrefill).seconds
        answer.timings.firstToken = (first - start).seconds
        answer.timings.decode = (finished - first).seconds
        if result.ids.count > 1 {
            answer.timings.secondsPerToken = answer.timings.decode / Double(result.ids.count - 1)
        }
        answer.timings.load = loaded.loadSeconds
        answer.timings.peakMemoryBytes = ProcessMemory.peakBytes
        return answer
    }

    func checkContext(_ prompt: Prompt, frames: Int, maxTokens: Int) throws {
        let perFrame = model.fusion.tokensPerFrame
        guard maxTokens > 0 else {
            throw LongtakeError(code: .badRequest, message: "max_tokens is \(maxTokens); an answer has at least one")
        }
        // More than any context holds, and little enough to add up.
        let other = prompt.ids.count - 1 + min(maxTokens, Int(Int32.max))
        let needed = frames * perFrame + other
        let limit = model.language.config.maxPositions
        guard needed <= limit else {
            throw ModelError.context(
                needed: needed, limit: limit, frames: frames, tokensPerFrame: perFrame, other: other)
        }
    }

    private func readTokens(_ range: Range<Int>, perFrame: Int, _ source: Source, into block: Block) throws {
        let buffer = Buffer<Float>(count: perFrame * model.hiddenSize)
        let rows = Block(buffer.pointer, rows: perFrame, columns: model.hiddenSize)
        var frame = -1
        for index in range {
            if index / perFrame != frame {
                frame = index / perFrame
                try source.tokens(frame, rows)
            }
            let at = index - range.lowerBound
            block.row(at).copyMemory(from: rows.row(index % perFrame), byteCount: model.hiddenSize * 4)
        }
    }

    private func fuse(
        _ text: TextFusion, _ source: Source, _ mode: FusionMode, progress: (Double) -> Void
    ) throws -> FusionSummary {
        let count = source.times.count
        let limit = mode == .exact ? Int.max : FusionPlan.limit(model, textRows: text.embeddings.rows)
        let frames = FusionPlan.frames(count: count, limit: limit)
        let batch = FrameEncoder.batchSize(rows: model.patchRows)
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        let buffer = Buffer<Float>(count: batch * rows * width)
        let perFrame = model.fusion.tokensPerFrame
        let textRows = text.embeddings.rows
        for start in stride(from: 0, to: frames.count, by: batch) {
            let chosen = frames[start..<min(start + batch, frames.count)]
            let patches = Block(buffer.pointer, rows: chosen.count * rows, columns: width)
            for (slot, frame) in chosen.enumerated() {
                try source.patches(frame, patches.rows(slot * rows..<(slot + 1) * rows))
            }
            let fused = model.fuse(patches: patches, frames: chosen.count, text: text.embeddings)
            for slot in 0..<chosen.count {
                let first = slot * (perFrame + textRows) + perFrame
                text.add(fused.rows(first..<first + textRows))
            }
            progress(Double(start + chosen.count) / Double(frames.count))
        }
        return FusionSummary(
            frames: frames.count, of: count, relativeStandardError: text.relativeStandardError(population: count))
    }
}

/// The process's memory, from /proc/self/status.
public enum ProcessMemory {
    /// Largest resident set so far, in bytes (VmHWM); 0 where the kernel does not say.
    public static var peakBytes: Int { field("VmHWM:") }
    /// Largest resident set of any child that has ended, in bytes.
    public static var peakOfChildren: Int {
        var usage = rusage()
        return getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage) == 0 ? usage.ru_maxrss * 1024 : 0
    }

    private static func field(_ name: String) -> Int {
        guard let file = fopen("/proc/self/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.hasPrefix(name) {
                return (Int(text.dropFirst(name.count).filter(\.isNumber)) ?? 0) * 1024
            }
        }
        return 0
    }
}
