internal import Yams

extension PipelineQuestion {
    /// The questions of a pipeline, checked.
    static func read(_ top: PipelineKeys) throws -> [PipelineQuestion] {
        let list = top.mapping["questions"]
        if let list, list.sequence == nil { throw top.bad("`questions` must be a list", list) }
        let base = try PipelineAnswerSettings(top, or: PipelineAnswerSettings())
        let maxTokens = try top.integer("max_tokens")
        var questions: [PipelineQuestion] = []
        for (index, node) in (list?.sequence.map(Array.init) ?? []).enumerated() {
            let question = try Self.one(node, index, top, base, maxTokens, questions.map(\.id))
            guard !questions.contains(where: { $0.id == question.id }) else {
                throw top.bad("two questions have the same id; each `id` must be unique", node)
            }
            try question.checkCondition(after: questions, node, top)
            questions.append(question)
        }
        return questions
    }

    private static func one(
        _ node: Node, _ index: Int, _ top: PipelineKeys, _ base: PipelineAnswerSettings, _ maxTokens: Int?,
        _ ids: [String]
    ) throws -> PipelineQuestion {
        if let text = node.string {
            return PipelineQuestion(
                id: "q\(index + 1)", text: text, from: nil, to: nil, maxTokens: maxTokens, fusion: nil, window: nil,
                condition: nil, settings: base)
        }
        guard let mapping = node.mapping else {
            throw top.bad("a question must be text or a mapping with `ask` or `search`", node)
        }
        let keys = PipelineKeys(path: top.path, mapping: mapping, where: "in question \(index + 1)")
        let ofQuestions = ["ask", "max_tokens", "fusion", "answer"] + PipelineAnswerSettings.keys
        try keys.allow(["id", "from", "to", "every", "if", "for"] + ofQuestions + PipelineSearch.keys)
        let isSearch = mapping["search"] != nil
        let others = isSearch ? ofQuestions : PipelineSearch.keys
        if let other = others.first(where: { mapping[$0] != nil }) {
            throw top.bad(
                other == "ask"
                    ? "question \(index + 1) has both `ask` and `search`; make it two"
                    : "question \(index + 1): `\(other)` belongs to `\(isSearch ? "ask" : "search")`", mapping[other])
        }
        guard let text = try keys.string(isSearch ? "search" : "ask") else {
            throw top.bad("question \(index + 1): `ask` or `search` is missing", node)
        }
        let (from, to) = (try keys.duration("from"), try keys.duration("to"))
        if let from, let to, from >= to { throw top.bad("question \(index + 1): `from` must be before `to`", node) }
        let window = try keys.duration("every")
        if window == 0 { throw top.bad("question \(index + 1): `every` must be above 0", mapping["every"]) }
        let condition = try keys.string("if").map {
            guard let condition = AnswerCondition($0, questions: ids), condition.subject != nil else {
                throw top.bad(
                    "question \(index + 1): `if` must name an earlier question, as in \(AnswerCondition.forms)",
                    mapping["if"])
            }
            return condition
        }
        // A search has none of a question's keys; what the pipeline sets for all questions is not its own.
        return PipelineQuestion(
            id: try keys.string("id") ?? "q\(index + 1)", text: text, from: from, to: to,
            maxTokens: isSearch ? nil : try keys.integer("max_tokens") ?? maxTokens,
            fusion: try keys.choice("fusion", FusionMode.self), window: window, condition: condition,
            settings: isSearch ? PipelineAnswerSettings() : try PipelineAnswerSettings(keys, or: base),
            form: try PipelineFile.answerForm(mapping["answer"], top.path),
            search: isSearch ? try search(keys, text) : nil,
            isForNew: try keys.choice("for", Part.self) == .new)
    }

    /// The values of `for`.
    private enum Part: String, CaseIterable { case all, new }

    private static func search(_ keys: PipelineKeys, _ text: String) throws -> PipelineSearch {
        guard !text.allSatisfy(\.isWhitespace) else {
            throw keys.bad("`search` must have at least one word", keys.mapping["search"])
        }
        var search = PipelineSearch()
        search.threshold = try keys.number("threshold", in: -1...1)
        if let limit = try keys.integer("at_most") {
            guard SearchOptions.acceptedLimits.contains(limit) else {
                throw keys.bad(
                    "`at_most` must be 1 to \(SearchOptions.acceptedLimits.upperBound)", keys.mapping["at_most"])
            }
            search.limit = limit
        }
        return search
    }

    /// A condition's question must come before, and be about the same ranges.
    private func checkCondition(after earlier: [PipelineQuestion], _ node: Node, _ top: PipelineKeys) throws {
        guard let subject = condition?.subject else { return }
        guard let base = earlier.first(where: { $0.id == subject }) else {
            let known = earlier.map(\.id)
            let hint = Spelling.suggestion(for: subject, among: known).map { "; did you mean `\($0)`?" } ?? ""
            throw top.bad("question `\(id)`: `if` names `\(subject)`, which is no question before it\(hint)", node)
        }
        guard base.window == nil || base.window == window, base.window == nil || (base.from, base.to) == (from, to)
        else {
            throw top.bad(
                "question `\(id)`: `\(subject)` is asked window by window, so this one needs the same `every`, `from` and `to`",
                node)
        }
        guard !base.isForNew || isForNew else {
            throw top.bad("question `\(id)`: `\(subject)` is for what is new, so this one needs `for: new`", node)
        }
    }
}
