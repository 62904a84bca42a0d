internal import Checkpoints
internal import Models
internal import Tokenizers

/// The grammars of the forms that were asked for, with what was computed for them: all answers of a model share it.
final class FormFilters {
    private let model: LoadedModel
    private lazy var trie = TokenTrie(
        model.tokenizer, vocabularySize: model.llava.language.config.vocabularySize, excluding: model.stopIDs)
    private var filters: [AnswerForm: TokenFilter] = [:]
    /// Most forms that are kept; a command or a pipeline has a few.
    private static let limit = 64

    init(_ model: LoadedModel) { self.model = model }

    /// The constraint of a new text; nil for a question without a form.
    func constraint(of question: Question) throws -> FormConstraint? {
        guard let form = question.form else { return nil }
        return FormConstraint(try filter(form), tokenizer: model.tokenizer, stopIDs: model.stopIDs)
    }

    /// Checks that every answer in a question's form fits its limit of tokens, and lowers the limit to what the longest
    /// one can take.
    ///
    /// - Throws: `LongtakeError` `bad_request` with the number of tokens that would do.
    func fit(_ question: Question) throws -> Question {
        guard let form = question.form else { return question }
        let grammar = try filter(form).grammar
        // Every byte may be a token of its own. Cutting a choice or a number short would change its meaning; a text,
        // or the texts and lists of a document, may be shorter.
        let needed =
            switch form {
            case .text, .json: grammar.fewestBytes(grammar.start)
            case .yesNo, .choice, .number, .time: grammar.mostBytes
            }
        guard question.maxTokens >= needed else {
            throw LongtakeError(
                code: .badRequest,
                message:
                    "an answer in the form \(form.name.rawValue) may need \(counted(needed, "token")), and the limit "
                    + "is \(question.maxTokens): allow at least \(needed)",
                remedy: .answerLength)
        }
        var fitted = question
        // One more for the token that ends the text.
        fitted.maxTokens = min(question.maxTokens, grammar.mostBytes + 1)
        return fitted
    }

    private func filter(_ form: AnswerForm) throws -> TokenFilter {
        if let known = filters[form] { return known }
        let filter = TokenFilter(try form.grammar(), trie)
        if filters.count >= Self.limit { filters.removeAll() }
        filters[form] = filter
        return filter
    }
}
