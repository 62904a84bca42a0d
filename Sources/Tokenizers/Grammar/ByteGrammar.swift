/// A deterministic automaton over bytes that accepts a finite set of texts: the grammar of an answer.
///
/// Most nodes have edges for single bytes. Texts and numbers are one node each, with a counter in the state, so that
/// the automaton stays small. A node may pass control to another one without reading a byte; the bytes that the two
/// read must differ, so that at most one state follows.
package struct ByteGrammar: Sendable {
    /// A position in the grammar.
    package struct State: Hashable, Sendable {
        var node: Int32
        /// `TextRule`: the characters and the incomplete one; `NumberRange`: what was read.
        var count: Int32 = 0
        /// `NumberRange`: the digits read, as a number.
        var value: Int64 = 0
    }

    enum Kind: UInt8 { case end, branch, text, number }

    struct Node {
        let kind: Kind
        /// Of a branch: its first edge, and how many it has.
        var firstEdge: Int32 = 0
        var edgeCount: Int32 = 0
        /// The node after this one; of a branch: the one that reads all other bytes; -1: none.
        var next: Int32 = -1
        /// Index of the text's or number's rule.
        var rule: Int32 = 0
        /// Fewest and most bytes from here to the end of an accepted text.
        var fewest = 0
        var most = 0
    }

    struct Edge {
        let byte: UInt8
        let target: Int32
    }

    let nodes: [Node]
    let edges: [Edge]
    let texts: [TextRule]
    let numbers: [NumberRange]
    /// Where every text begins.
    package let start: State
    /// The largest value that `fewestBytes` has in any state.
    package let worst: Int

    /// Most bytes of an accepted text.
    package var mostBytes: Int { nodes[Int(start.node)].most }

    init(nodes: [Node], edges: [Edge], texts: [TextRule], numbers: [NumberRange], start: Int32) {
        (self.nodes, self.edges, self.texts, self.numbers) = (nodes, edges, texts, numbers)
        self.start = State(node: start)
        worst =
            nodes.map { node in
                switch node.kind {
                case .end, .branch: node.fewest
                // An incomplete character or escape needs at most 3 bytes.
                case .text: node.fewest + 3
                case .number: numbers[Int(node.rule)].mostBytes + nodes[Int(node.next)].fewest
                }
            }.max() ?? 0
    }

    /// The state after one more byte; nil if no accepted text begins like this.
    package func next(_ state: State, _ byte: UInt8) -> State? {
        var state = state
        while true {
            let node = nodes[Int(state.node)]
            switch node.kind {
            case .end: return nil
            case .branch:
                let first = Int(node.firstEdge)
                for edge in first..<first + Int(node.edgeCount) where edges[edge].byte == byte {
                    return State(node: edges[edge].target)
                }
            case .text:
                let rule = texts[Int(node.rule)]
                if rule.closes(state.count, byte) { return State(node: node.next) }
                guard let count = rule.next(state.count, byte) else { return nil }
                return State(node: state.node, count: count)
            case .number:
                let range = numbers[Int(node.rule)]
                if let (count, value) = range.next(state.count, state.value, byte) {
                    return State(node: state.node, count: count, value: value)
                }
                guard range.isComplete(state.count, state.value) else { return nil }
            }
            guard node.next >= 0 else { return nil }
            state = State(node: node.next)
        }
    }

    /// The state after `bytes`; nil if no accepted text begins like this.
    package func next(_ state: State, _ bytes: some Sequence<UInt8>) -> State? {
        var state = state
        for byte in bytes {
            guard let after = next(state, byte) else { return nil }
            state = after
        }
        return state
    }

    /// True if the text that leads to a state is accepted.
    package func isAccepting(_ state: State) -> Bool { fewestBytes(state) == 0 }

    /// True if no byte may follow.
    package func isFinal(_ state: State) -> Bool {
        (0...255).allSatisfy { next(state, UInt8($0)) == nil }
    }

    /// Fewest bytes that complete an accepted text.
    package func fewestBytes(_ state: State) -> Int {
        let node = nodes[Int(state.node)]
        switch node.kind {
        case .end, .branch: return node.fewest
        case .text:
            return texts[Int(node.rule)].fewestBytes(state.count) + nodes[Int(node.next)].fewest
        case .number:
            // A state without a completion is never returned.
            let own = numbers[Int(node.rule)].fewestBytes(state.count, state.value) ?? 0
            return own + nodes[Int(node.next)].fewest
        }
    }

    /// A state from which the same tokens of at most `length` bytes may follow, one for as many states as possible.
    ///
    /// In the middle of a long text it does not matter how many characters were read.
    func canonical(_ state: State, tokenBytes length: Int) -> State {
        let node = nodes[Int(state.node)]
        guard node.kind == .text else { return state }
        return State(node: state.node, count: texts[Int(node.rule)].canonical(state.count, tokenBytes: length))
    }
}
