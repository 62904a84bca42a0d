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

    /// Attention of one query row of each of several sequences over all keys of its own sequence.
    ///
    /// - Parameters:
    ///   - query: [B, h · d] f32.
    ///   - sequences: [B], the parts that a sequence's keys and values consist of; every part but the last has a
    ///     multiple of `sharedKeysMultiple` positions. A part may belong to several sequences.
    ///   - out: [B, h · d] f32.
    public func attention(
        query: MatrixView, sequences: [[KeyValueRows]], shape: AttentionShape, into out: MatrixView
    ) {
        precondition(query.rows == sequences.count && out.rows == query.rows, "attention: sequences")
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
        attention(query: query, overKeyBlocks: keyBlocks, shape: shape, into: out)
    }

    /// The same for one query row whose keys and values are in one part; allocates nothing.
    func attention(query: MatrixView, _ part: KeyValueRows, shape: AttentionShape, into out: MatrixView) {
        precondition(query.rows == 1 && out.rows == 1, "attention: sequences")
        keyBlocks.removeAll()
        keyBlocks.startSequence()
        keyBlocks.append(part, blockSize: Self.keyBlock)
        attention(query: query, overKeyBlocks: keyBlocks, shape: shape, into: out)
    }

    /// The blocks of keys that the rows of one call attend to; its memory is kept from call to call.
    struct KeyBlocks {
        /// By block and then sequence, so that a block that sequences share is read from memory once.
        private(set) var tasks: [(block: Int, sequence: Int, keys: MatrixView, values: MatrixView)] = []
        /// The index of each sequence's first block among all results, and their number: [B + 1].
        private(set) var firstBlocks = [0]
        /// The most keys of a block.
        private(set) var longest = 0

        mutating func removeAll() {
            tasks.removeAll(keepingCapacity: true)
            firstBlocks.removeAll(keepingCapacity: true)
            firstBlocks.append(0)
            longest = 0
        }

        mutating func startSequence() { firstBlocks.append(tasks.count) }

        /// Appends keys and values of the last sequence.
        mutating func append(_ part: KeyValueRows, blockSize: Int) {
            let sequence = firstBlocks.count - 2
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
        query: MatrixView, overKeyBlocks blocks: KeyBlocks, shape: AttentionShape, into out: MatrixView
    ) {
        let (heads, width, tasks) = (shape.heads, shape.heads * shape.headSize, blocks.tasks)
        precondition(query.columns == width && out.columns == width, "attention: query")
        let maxScores = blockMaxScores.matrix(.f32, rows: tasks.count, columns: heads)  // [blocks, h]
        let expSums = blockExpSums.matrix(.f32, rows: tasks.count, columns: heads)  // [blocks, h]
        let weighted = blockValues.matrix(.f32, rows: tasks.count, columns: width)  // [blocks, h · d]
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
                    maxScores.rows(row..<row + 1).floats, expSums.rows(row..<row + 1).floats,
                    weighted.rows(row..<row + 1).floats)
            }
        }
        for sequence in 0..<query.rows {
            let blocks = blocks.firstBlocks[sequence]..<blocks.firstBlocks[sequence + 1]
            table.attention_combine(
                blocks.count, heads, shape.headSize, maxScores.rows(blocks).floats, expSums.rows(blocks).floats,
                weighted.rows(blocks).floats, out.rows(sequence..<sequence + 1).floats)
        }
    }

    /// The attention weights of one query row over all keys of its sequence, softmax(q · kᵀ / √d), for selected heads.
    ///
    /// Does not touch the scratch memory of `attention`; costs one dot product per key and head.
    /// - Parameters:
    ///   - query: [1, h · d] f32, rotated.
    ///   - keys: the parts that the sequence's keys consist of, [S, h_kv · d] in total.
    ///   - heads: indices of the heads, from 0.
    /// - Returns: [heads.count, S] f32, valid until the next call.
    public func attentionWeights(
        query: MatrixView, sequence: [KeyValueRows], shape: AttentionShape, heads: [Int]
    ) -> MatrixView {
        precondition(query.rows == 1 && query.columns == shape.heads * shape.headSize, "attention weights: query")
        precondition(heads.allSatisfy { (0..<shape.heads).contains($0) }, "attention weights: heads \(heads)")
        let count = sequence.reduce(0) { $0 + $1.keys.rows }
        let weights = weightsRows.matrix(.f32, rows: heads.count, columns: count)
        let table = kernels.table
        let scale = 1 / Float(shape.headSize).squareRoot()
        threadPool.parallelFor(heads.count, cost: count * shape.headSize) { range in
            for index in range {
                let row = weights.rows(index..<index + 1).floats
                var first = 0
                for part in sequence {
                    scoreKeys(
                        part.keys, query.floats + heads[index] * shape.headSize, shape,
                        heads[index] / shape.queriesPerGroup, into: row + first)
                    first += part.keys.rows
                }
                table.softmax(row, count, scale, 1, count, count, 0, row, LT_F32, count)
            }
        }
        return weights
    }
}
