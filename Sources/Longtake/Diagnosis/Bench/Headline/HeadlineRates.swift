internal import Checkpoints

/// What was measured of one model, and the times of other lengths that follow from it.
struct HeadlineRates: Sendable {
    /// A time, measured or computed from the others.
    struct Time: Sendable {
        let seconds: Double
        let isComputed: Bool
    }

    /// From pixels to the first token of an answer about one image, each run in order.
    var image: [Double] = []
    /// Of the median run: from pixels to vision tokens and fused text.
    var frameSeconds = 0.0
    /// Of the median run: the language model and the first token.
    var languageSeconds = 0.0
    /// Operations per second of the language model's products, in a slice of a long prompt.
    var linear = 1.0
    /// Operations per second of its attention over a long prompt.
    var attention = 1.0
    /// Seconds of a further question by the number of frames.
    var again: [Int: Double] = [:]

    private let model: HeadlineModel

    init(_ model: HeadlineModel) { self.model = model }

    /// Median of `image`; of an even number the faster of the two in the middle.
    var first: Double { image.isEmpty ? 0 : image.sorted()[(image.count - 1) / 2] }

    /// Operations per second of the frame path.
    var frame: Double {
        let text = HeadlineModel.text.before + HeadlineModel.text.after
        return (model.cost.frame + model.cost.text(rows: text)) / max(frameSeconds, .leastNormalMagnitude)
    }

    /// Seconds of `rows` positions after `known` others.
    private func language(rows: Int, after known: Int, whole: Double? = nil) -> Double {
        let attended = model.parts.language.attentionWork(rows: rows, after: known)
        let all = (whole ?? model.parts.language.layerWork(rows: rows, after: known)) + model.parts.language.headWork
        return (all - attended) / linear + attended / attention
    }

    /// The first question about `frames` frames: nothing is computed before.
    func first(frames: Int) -> Time {
        guard frames > 1 else { return Time(seconds: first, isComputed: false) }
        let text = HeadlineModel.text.before + HeadlineModel.text.after
        let fused = Double(min(frames, HeadlineModel.sample)) * model.cost.text(rows: text)
        return Time(
            seconds: (Double(frames) * model.cost.frame + fused) / frame
                + language(rows: model.cost.positions(frames: frames), after: 0), isComputed: true)
    }

    /// A further question about the same frames.
    ///
    /// What was not measured is the nearest measured time and the difference in operations, at the rate between two
    /// measurements for fusion and at attention's rate for the rest.
    func again(frames: Int) -> Time {
        if let seconds = again[frames] { return Time(seconds: seconds, isComputed: false) }
        guard let one = again[1] else { return Time(seconds: 0, isComputed: true) }
        let most = again.keys.max() ?? 1
        let (from, start) = frames > most ? (most, again[most] ?? one) : (1, one)
        return Time(
            seconds: max(
                0,
                start + (fusionWork(frames) - fusionWork(from)) / fusionRate
                    + (attentionWork(frames) - attentionWork(from)) / attention), isComputed: true)
    }

    private func fusionWork(_ frames: Int) -> Double {
        model.cost.againFusion(frames: frames, sample: HeadlineModel.sample)
    }

    private func attentionWork(_ frames: Int) -> Double {
        let rows = HeadlineModel.text.after
        return model.parts.language.attentionWork(rows: rows, after: model.cost.positions(frames: frames) - rows)
    }

    /// Operations per second of a question's fusion with many frames.
    private var fusionRate: Double {
        guard let most = again.keys.max(), most > 1, let one = again[1], let many = again[most] else { return frame }
        let seconds = many - one - (attentionWork(most) - attentionWork(1)) / attention
        let work = fusionWork(most) - fusionWork(1)
        return work > 0 && seconds > 0 ? work / seconds : frame
    }

    /// Any question as the reference asks it, everything again, at the rates measured here.
    func reference(frames: Int) -> Time {
        let positions = model.cost.positions(frames: frames)
        let frameWork = Double(frames) * model.cost.referenceFrame
        let whole = model.cost.reference(frames: frames) - frameWork - model.parts.language.headWork
        return Time(
            seconds: frameWork / frame + language(rows: positions, after: 0, whole: whole), isComputed: true)
    }
}
