/// A figure of the paper, and what it is here.
package struct HeadlineClaim: Sendable, Encodable {
    /// How a figure compares with the paper's.
    package enum Verdict: String, Sendable, Encodable {
        /// Better by more than 2 %.
        case beaten
        /// Within 2 %.
        case met
        /// Worse by more than 2 %.
        case missed
    }

    /// The figure of one LLaVA-Mini.
    package struct Figure: Sendable, Encodable {
        /// The model.
        package let model: String
        /// Its value.
        package let value: Double
        /// `value` in proportion to LLaVA-v1.5's.
        package let proportion: Double
        /// Compared with the paper.
        package let verdict: Verdict
    }

    /// What is claimed.
    package let claim: String
    /// The unit of the values: "FLOP", "s", "bytes" or "frames".
    package let unit: String
    /// The paper's value of LLaVA-v1.5; nil where it states none.
    package let paperBefore: Double?
    /// The paper's value of LLaVA-Mini; nil where it states a proportion only.
    package let paperAfter: Double?
    /// The paper's value of LLaVA-Mini in proportion to LLaVA-v1.5's; nil where it states none.
    package let paperProportion: Double?
    /// LLaVA-v1.5 here.
    package let before: Double
    /// LLaVA-Mini here, on each language model.
    package let after: [Figure]

    private enum CodingKeys: String, CodingKey {
        case claim, unit, before, after
        case paperBefore = "paper_before"
        case paperAfter = "paper_after"
        case paperProportion = "paper_proportion"
    }

    /// The four claims; empty without models. Source: arXiv 2501.03895, abstract and figure 1.
    static func all(_ models: [HeadlineReport.Model]) -> [HeadlineClaim] {
        guard let first = models.first else { return [] }
        let minis = models.dropFirst()
        func claim(
            _ name: String, _ unit: String, paper: (Double?, Double?, Double?), moreIsBetter: Bool = false,
            of value: (HeadlineReport.Model) -> Double
        ) -> HeadlineClaim {
            let before = value(first)
            let figures = minis.map { model in
                let (own, proportion) = (value(model), before > 0 ? value(model) / before : 0)
                // A proportion is compared where the paper states one, else the value.
                let (mine, theirs) = paper.2.map { (proportion, $0) } ?? (own, paper.1 ?? own)
                return Figure(
                    model: model.name, value: own, proportion: proportion,
                    verdict: verdict(mine, theirs, moreIsBetter: moreIsBetter))
            }
            return HeadlineClaim(
                claim: name, unit: unit, paperBefore: paper.0, paperAfter: paper.1, paperProportion: paper.2,
                before: before, after: figures)
        }
        return [
            claim(
                "operations per image", "FLOP", paper: (8.55e12, 1.96e12, 1.96 / 8.55), of: { $0.imageOperations }),
            claim("first token after one image", "s", paper: (nil, nil, 1 / 2.9), of: { $0.firstTokenSeconds }),
            claim("memory per frame", "bytes", paper: (360e6, 0.6e6, nil), of: { Double($0.frameBytes) }),
            claim(
                "longest video in 24 GiB", "frames", paper: (nil, 10_000, nil), moreIsBetter: true,
                of: { Double($0.longest) }),
        ]
    }

    static func verdict(_ mine: Double, _ theirs: Double, moreIsBetter: Bool) -> Verdict {
        let (better, worse) = moreIsBetter ? (theirs, mine) : (mine, theirs)
        // As a proportion above 1 where mine is the better one.
        guard better > 0, worse > 0 else { return .missed }
        let gain = worse / better
        return gain > 1.02 ? .beaten : gain >= 0.98 ? .met : .missed
    }
}
