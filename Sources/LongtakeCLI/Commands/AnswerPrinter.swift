import Longtake

/// Puts answers on standard output as they come, and what belongs to them on standard error.
final class AnswerPrinter {
    private let output: OutputOptions
    private let progress: Progress
    private let picture: Bool
    private let several: Bool
    /// Whether something of the present answer has been said.
    private(set) var said = false
    /// Whether an answer came from a recording that is not whole.
    private(set) var isPartial = false

    init(_ output: OutputOptions, picture: Bool, several: Bool) {
        self.output = output
        progress = output.progress
        self.picture = picture
        self.several = several
    }

    /// A piece of an answer.
    func text(_ question: String, _ text: String) -> Bool {
        progress.clear()
        if !output.json {
            if !said { introduce(question) }
            Console.result(Console.safe(text))
        }
        said = true
        return true
    }

    func finish(_ answer: Answer) {
        progress.clear()
        if answer.notes.contains(where: { $0.hasPrefix("partial:") }) { isPartial = true }
        if output.json {
            if several { Console.jsonLine(answer) } else { Console.json(answer) }
        } else {
            if !said {
                introduce(answer.question)
                Console.result(Console.safe(answer.answer))
            }
            Console.line()
            report(answer)
        }
        said = false
    }

    /// Of several answers, each comes behind its question.
    private func introduce(_ question: String) {
        if several { Console.result(Console.safe(question) + " ") }
    }

    private func report(_ answer: Answer) {
        for note in answer.notes { output.note("note: \(Console.name(note))") }
        guard answer.found else { return }
        let timings = answer.timings
        var line = picture ? "1 picture" : answer.frames == 1 ? "1 frame" : "\(answer.frames) frames"
        if !picture, let first = answer.range.first, let last = answer.range.last {
            line += " at \(TimeText.clock(first)) to \(TimeText.clock(last))"
        }
        if answer.fusion.frames < answer.fusion.of {
            line +=
                ", fused with \(answer.fusion.frames) of them (relative standard error "
                + "\(Format.short(answer.fusion.relativeStandardError)))"
        }
        output.note(line + " · " + answer.caution)
        var speed = "first token after \(Format.time(timings.firstToken)), \(answer.tokenIDs.count) tokens"
        if let each = timings.secondsPerToken { speed += ", \(Format.short(each)) s per token" }
        if let each = timings.secondsPerFrame { speed += "; indexed at \(Format.short(each)) s per frame" }
        output.note(speed + "; peak memory \(Format.bytes(Int64(timings.peakMemoryBytes)))")
    }
}
