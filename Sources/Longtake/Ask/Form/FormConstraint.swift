internal import Models
internal import Tokenizers

/// Holds one text to its form while it is generated, also when its tokens or its time run out.
final class FormConstraint: TokenConstraint {
    private let filter: TokenFilter
    private let tokenizer: any Tokenizer
    private let stopIDs: Set<Int32>
    private var state: ByteGrammar.State
    private var bytes: [UInt8] = []
    /// The tokens that the last one was chosen among.
    private(set) var choices: [UInt64] = []
    /// The same without a limit of tokens; nil if the limit left out none.
    private var unlimited: [UInt64]?
    /// True once a token that the model preferred was left out, so that the text could be completed in time.
    private(set) var isShortened = false
    /// True once the text must end as soon as it can.
    private var isHurried = false

    init(_ filter: TokenFilter, tokenizer: any Tokenizer, stopIDs: Set<Int32>) {
        (self.filter, self.tokenizer, self.stopIDs) = (filter, tokenizer, stopIDs)
        state = filter.grammar.start
    }

    /// The text so far, without the space that its first token may begin with.
    var text: String { String(decoding: bytes.first == 0x20 ? bytes.dropFirst() : bytes[...], as: UTF8.self) }

    var isComplete: Bool {
        let grammar = filter.grammar
        return grammar.isAccepting(state) && (isHurried || grammar.isFinal(state))
    }

    func allowed(tokensLeft: Int) -> [UInt64] {
        let grammar = filter.grammar
        let left = isHurried ? min(tokensLeft, grammar.fewestBytes(state)) : tokensLeft
        choices = filter.tokens(after: state, tokensLeft: left)
        unlimited = left <= grammar.worst ? filter.tokens(after: state) : nil
        if grammar.isAccepting(state) {
            for id in stopIDs where id >= 0 && Int(id) < choices.count * 64 {
                choices[Int(id) >> 6] |= 1 << UInt64(id & 63)
            }
        }
        return choices
    }

    /// Takes the token that was chosen from `logits` [V].
    func accept(_ id: Int32, _ logits: UnsafeBufferPointer<Float>) {
        if let unlimited, let best = Sampler.best(of: logits, allowed: zip(unlimited, choices).map { $0 | $1 }),
            choices[best >> 6] >> UInt64(best & 63) & 1 == 0
        {
            isShortened = true
        }
        guard !stopIDs.contains(id) else { return }
        let token = tokenizer.tokenBytes(id)
        guard let next = filter.grammar.next(state, token) else {
            preconditionFailure("token \(id) was not allowed")
        }
        state = next
        bytes += token
    }

    /// From now on, takes the shortest way to the end of the text.
    func hurry() { isHurried = true }
}
