internal import CKernels

// Letters: B sequences, S keys of one of them, h query heads, h_kv KV heads, d head size.

/// Decoding several sequences together: one row of each, with the bits that it has alone.
extension Compute {
    /// The number of keys after which the keys of a sequence may continue in other memory: the attention of one row
    /// is computed in blocks of this many keys.
    public static var sharedKeysMultiple: Int { keyBlock }

    /// out = x · Wᵀ, or out += x · Wᵀ, each row exactly as `linear` computes a single one.
    ///
    /// Up to eight rows read the weight once.
    /// - Parameters:
    ///   - x: [B, in] f32.
    ///   - weight: [out, in].
    ///   - bias: [out].
    ///   - out: [B, out] f32.
    public func linearRows(
        _ x: MatrixView, _ weight: Matrix, bias: [Float]? = nil, accumulate: Bool = false, into out: MatrixView
    ) {
        precondition(
            x.columns == weight.columns && out.columns == weight.rows && out.rows == x.rows, "linearRows: shapes")
        weight.prepare()
        // Rows of a product with quantized weights have the same bits whatever their number.
        guard x.rows > 1, weight.quantizedFormat == nil else {
            return linear(x, weight, bias: bias, accumulate: accumulate, into: out)
        }
        if let bias { precondition(bias.count == weight.rows, "linearRows: bias") }
        let table = kernels.table
        let (base, columns, size, type) = (weight.base, weight.columns, weight.type.size, weight.type.kernel)
        withPointer(bias) { bias in
            threadPool.parallelFor(weight.rows, cost: x.rows * columns) { range in
                let packed = headScratch[ThreadPool.index].packed.matrix(
                    .f32, rows: min(x.rows, Int(LT_GEMV_ROWS)), columns: columns)
                let target = out.columns(range)
                table.gemv_rows(
                    base + range.lowerBound * columns * size, type, columns, x.floats, x.stride, x.rows,
                    bias.map { $0 + range.lowerBound }, accumulate ? 1 : 0, range.count, columns, packed.floats,
                    target.floats, target.stride)
            }
        }
    }

    /// Keys and values of consecutive positions of a sequence, [S, h_kv · d] each.
    public struct KeyValueRows {
        let keys: MatrixView
        let values: MatrixView

        /// Both of one type and stride.
        public init(keys: MatrixView, values: MatrixView) {
            precondition(
                keys.rows == values.rows && keys.type == values.type && keys.stride == values.stride, "keys and values")
            self.keys = keys
            self.values = values
        }
    }

    /// Gets the attention weights of one query row, softmax(q · kᵀ / √d).
    public struct WeightsReceiver {
        /// Indices of the heads whose weights are wanted, from 0.
        public let heads: [Int]
        /// Gets their weights [heads, S] f32, valid during the call.
        public let receive: (MatrixView) -> Void

        /// A receiver of the weights of `heads`.
        public init(heads: [Int], receive: @escaping (MatrixView) -> Void) {
            (self.heads, self.receive) = (heads, receive)
        }
    }

    /// Attention of one query row of each of several sequences over all keys of its own sequence.
    ///
    /// - Parameters:
    ///   - query: [B, h · d] f32.
    ///   - sequences: [B], the parts that a sequence's keys and values consist of; every part but the last has a
    ///     multiple of `sharedKeysMultiple` positions. A part may belong to several sequences.
    ///   - receivers: [B], or none at all: each gets the weights of its row.
    ///   - out: [B, h · d] f32.
    public func attention(
        query: MatrixView, sequences: [[KeyValueRows]], shape: AttentionShape, receivers: [WeightsReceiver?] = [],
        into out: MatrixView
    ) {
        precondition(query.rows == sequences.count && out.rows == query.rows, "attention: sequences")
        precondition(receivers.isEmpty || receivers.count == query.rows, "attention: receivers")
        keyBlocks.removeAll()
        for parts in sequences {
            keyBlocks.startSequence()
            for (index, part) in parts.enumerated() {
                let isWhole = part.keys.rows % Self.keyBlock == 0
                precondition(isWhole || index == parts.count - 1, "attention: \(part.keys.rows) keys")
                keyBlocks.append(part, blockSize: Self.keyBlock)
            }
        }
        keyBlocks.sort()
        attention(query: query, overKeyBlocks: keyBlocks, shape: shape, receivers: receivers, into: out)
    }

    /// The same for one query row whose keys and values are in one part; allocates nothing without a receiver.
    func attention(
        query: MatrixView, _ part: KeyValueRows, shape: AttentionShape, receiver: WeightsReceiver? = nil,
        into out: MatrixView
    ) {
        precondition(query.rows == 1 && out.rows == 1, "attention: sequences")
        keyBlocks.removeAll()
        keyBlocks.startSequence()
        keyBlocks.append(part, blockSize: Self.keyBlock)
        attention(
            query: query, overKeyBlocks: keyBlocks, shape: shape, receivers: receiver.map { [$0] } ?? [], into: out)
    }

    /// Gives a receiver the attention weights of one query row over all keys.
    ///
    /// - Parameters:
    ///   - query: [1, h · d] f32 or bf16, rotated.
    ///   - part: keys and values [S, h_kv · d].
    public func attentionWeights(
        query: MatrixView, _ part: KeyValueRows, shape: AttentionShape, to receiver: WeightsReceiver
    ) {
        let row = weightsQuery.matrix(.f32, rows: 2, columns: query.columns)
        convert(query, into: row.rows(0..<1))
        attention(query: row.rows(0..<1), part, shape: shape, receiver: receiver, into: row.rows(1..<2))
    }

    /// The blocks of keys that the rows of one call attend to; its memory is kept from call to call.
    struct KeyBlocks {
        /// By block and then sequence, so that a block that sequences share is read from memory once.
        private(set) var tasks: [(block: Int, sequence: Int, keys: MatrixView, values: MatrixView)] = []
        /// The index of each sequence's first block among all results, and their number: [B + 1].
        private(set) var firstBlocks = [0]
        /// The number of keys of each sequence: [B].
        private(set) var keyCounts: [Int] = []
        /// The most keys of a block.
        private(set) var longest = 0

        mutating func removeAll() {
            tasks.removeAll(keepingCapacity: true)
            firstBlocks.removeAll(keepingCapacity: true)
            firstBlocks.append(0)
            keyCounts.removeAll(keepingCapacity: true)
            longest = 0
        }

        mutating func startSequence() {
            firstBlocks.append(tasks.count)
            keyCounts.append(0)
        }

        /// Appends keys and values of the last sequence.
        mutating func append(_ part: KeyValueRows, blockSize: Int) {
            let sequence = firstBlocks.count - 2
            keyCounts[sequence] += part.keys.rows
            for first in stride(from: 0, to: part.keys.rows, by: blockSize) {
                let rows = first..<min(part.keys.rows, first + blockSize)
                let block = firstBlocks[sequence + 1] - firstBlocks[sequence]
                tasks.append((block, sequence, part.keys.rows(rows), part.values.rows(rows)))
                firstBlocks[sequence + 1] += 1
                longest = max(longest, rows.count)
            }
        }

        mutating func sort() {
            guard firstBlocks.count > 2 else { return }
            tasks.sort { $0.block != $1.block ? $0.block < $1.block : $0.sequence < $1.sequence }
        }
    }

    private func attention(
        query: MatrixView, overKeyBlocks blocks: KeyBlocks, shape: AttentionShape, receivers: [WeightsReceiver?],
        into out: MatrixView
    ) {
        let (heads, width, tasks) = (shape.heads, shape.heads * shape.headSize, blocks.tasks)
        precondition(query.columns == width && out.columns == width, "attention: query")
        let maxScores = blockMaxScores.matrix(.f32, rows: tasks.count, columns: heads)  // [blocks, h]
        let expSums = blockExpSums.matrix(.f32, rows: tasks.count, columns: heads)  // [blocks, h]
        let weighted = blockValues.matrix(.f32, rows: tasks.count, columns: width)  // [blocks, h · d]
        let keepsWeights = receivers.contains { $0 != nil }
        let weights = blockWeights.matrix(
            .f32, rows: keepsWeights ? tasks.count : 0, columns: heads * Self.keyBlock)  // [blocks, h · S]
        let table = kernels.table
        let scale = 1 / Float(shape.headSize).squareRoot()
        threadPool.parallelFor(tasks.count, cost: 2 * blocks.longest * width) { range in
            let scores = headScratch[ThreadPool.index].scores.matrix(.f32, rows: heads, columns: Self.keyBlock)
            for task in tasks[range] {
                let row = blocks.firstBlocks[task.sequence] + task.block
                table.attention_block(
                    query.rows(task.sequence..<task.sequence + 1).floats, task.keys.base, task.values.base,
                    task.keys.type.keyValueKernel, task.keys.stride, task.keys.rows, shape.keyValueHeads,
                    shape.queriesPerGroup, shape.headSize, scale, scores.floats,
                    keepsWeights ? weights.rows(row..<row + 1).floats : nil,
                    maxScores.rows(row..<row + 1).floats, expSums.rows(row..<row + 1).floats,
                    weighted.rows(row..<row + 1).floats)
            }
        }
        let shares = blockShares.matrix(.f32, rows: weights.rows, columns: heads)  // [blocks, h]
        for sequence in 0..<query.rows {
            let range = blocks.firstBlocks[sequence]..<blocks.firstBlocks[sequence + 1]
            table.attention_combine(
                range.count, heads, shape.headSize, maxScores.rows(range).floats, expSums.rows(range).floats,
                weighted.rows(range).floats, keepsWeights ? shares.rows(range).floats : nil,
                out.rows(sequence..<sequence + 1).floats)
            guard keepsWeights, let receiver = receivers[sequence] else { continue }
            receiver.receive(
                normalizedWeights(
                    weights.rows(range), shares: shares.rows(range), keyCount: blocks.keyCounts[sequence],
                    heads: receiver.heads))
        }
    }

    /// [heads, S]: the weights of one sequence's blocks, times the share of each block in the sum of its head.
    private func normalizedWeights(
        _ blocks: MatrixView, shares: MatrixView, keyCount: Int, heads: [Int]
    ) -> MatrixView {
        precondition(heads.allSatisfy { (0..<shares.columns).contains($0) }, "attention weights: heads \(heads)")
        // Whole blocks, so that the memory does not grow with every token.
        let out = weightsRows.matrix(.f32, rows: heads.count, columns: blocks.rows * Self.keyBlock)
            .columns(0..<keyCount)
        threadPool.parallelFor(blocks.rows, cost: heads.count * Self.keyBlock) { range in
            for block in range {
                let first = block * Self.keyBlock
                let count = min(Self.keyBlock, keyCount - first)
                for (index, head) in heads.enumerated() {
                    let share = shares.rows(block..<block + 1).floats[head]
                    let source = blocks.rows(block..<block + 1).floats + head * count
                    let target = out.rows(index..<index + 1).floats + first
                    for key in 0..<count { target[key] = source[key] * share }
                }
            }
        }
        return out
    }
}
