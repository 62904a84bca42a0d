/// Builds a `ByteGrammar` back to front: every part is given the node that follows it.
package struct GrammarBuilder {
    /// A part of the grammar under construction.
    package struct Part: Hashable { let node: Int32 }

    /// The grammar has too many nodes.
    package struct TooLarge: Error {}

    /// Most nodes: enough for a thousand objects of ten properties.
    package static let limit = 200_000

    private var nodes: [ByteGrammar.Node] = []
    private var edges: [ByteGrammar.Edge] = []
    private var texts: [TextRule] = []
    private var numbers: [NumberRange] = []

    /// A builder with the end of all texts.
    package init() { nodes.append(ByteGrammar.Node(kind: .end)) }

    /// The end of a text.
    package var end: Part { Part(node: 0) }

    /// The bytes of `text`, then `next`.
    package mutating func literal(_ text: String, then next: Part) throws(TooLarge) -> Part {
        var next = next
        for byte in text.utf8.reversed() { next = try branch([(byte, next)], otherwise: nil) }
        return next
    }

    /// One of several texts, each with what follows it; one may be the beginning of another.
    ///
    /// - Parameter otherwise: a part that reads none of the texts' first bytes: it may come instead.
    package mutating func oneOf(
        _ texts: [(text: String, next: Part)], otherwise: Part? = nil
    ) throws(TooLarge) -> Part {
        try oneOf(texts.map { (Array($0.text.utf8)[...], $0.next) }, otherwise)
    }

    private mutating func oneOf(
        _ texts: [(text: ArraySlice<UInt8>, next: Part)], _ otherwise: Part?
    ) throws(TooLarge) -> Part {
        var order: [UInt8] = []
        var groups: [UInt8: [(text: ArraySlice<UInt8>, next: Part)]] = [:]
        var otherwise = otherwise
        for (text, next) in texts {
            guard let first = text.first else {
                otherwise = next
                continue
            }
            if groups[first] == nil { order.append(first) }
            groups[first, default: []].append((text.dropFirst(), next))
        }
        var branches: [(UInt8, Part)] = []
        for byte in order { branches.append((byte, try oneOf(groups[byte] ?? [], nil))) }
        return try branch(branches, otherwise: otherwise)
    }

    private mutating func branch(_ branches: [(UInt8, Part)], otherwise: Part?) throws(TooLarge) -> Part {
        if branches.isEmpty, let otherwise { return otherwise }
        var node = ByteGrammar.Node(kind: .branch)
        (node.firstEdge, node.edgeCount) = (Int32(edges.count), Int32(branches.count))
        edges += branches.map { ByteGrammar.Edge(byte: $0, target: $1.node) }
        let after = branches.map { nodes[Int($0.1.node)] }
        let other = otherwise.map { nodes[Int($0.node)] }
        node.next = otherwise?.node ?? -1
        node.fewest = (after.map { $0.fewest + 1 } + [other?.fewest].compactMap(\.self)).min() ?? 0
        node.most = (after.map { $0.most + 1 } + [other?.most].compactMap(\.self)).max() ?? 0
        return try add(node)
    }

    /// A text of `characters`, which count as Unicode scalars; in quotes, whose first one is read before.
    package mutating func text(
        _ characters: ClosedRange<Int>, isQuoted: Bool, then next: Part
    ) throws(TooLarge) -> Part {
        let rule = TextRule(
            isQuoted: isQuoted, fewest: Int32(clamping: characters.lowerBound),
            // Multiplied by 16 in a state.
            most: Int32(clamping: min(characters.upperBound, 1 << 24)))
        var node = ByteGrammar.Node(kind: .text)
        (node.rule, node.next) = (Int32(texts.count), next.node)
        node.fewest = rule.fewestBytes(0) + nodes[Int(next.node)].fewest
        node.most = Int(rule.most) * 4 + 1 + nodes[Int(next.node)].most
        texts.append(rule)
        return try add(node)
    }

    /// A number; what follows must not begin with a digit, a point or a minus.
    package mutating func number(_ range: NumberRange, then next: Part) throws(TooLarge) -> Part {
        var node = ByteGrammar.Node(kind: .number)
        (node.rule, node.next) = (Int32(numbers.count), next.node)
        node.fewest = (range.fewestBytes(0, 0) ?? 0) + nodes[Int(next.node)].fewest
        node.most = range.mostBytes + nodes[Int(next.node)].most
        numbers.append(range)
        return try add(node)
    }

    private mutating func add(_ node: ByteGrammar.Node) throws(TooLarge) -> Part {
        guard nodes.count < Self.limit else { throw TooLarge() }
        nodes.append(node)
        return Part(node: Int32(nodes.count - 1))
    }

    /// The grammar whose texts begin with `part`.
    package func grammar(from part: Part) -> ByteGrammar {
        ByteGrammar(nodes: nodes, edges: edges, texts: texts, numbers: numbers, start: part.node)
    }
}
