internal import CKernels

// Letters: T query rows, S keys, h query heads, h_kv KV heads, d head size.

/// Attention: softmax(q · kᵀ / √d) · v, head by head. Source: docs/model.md, section 7.
extension Compute {
    /// Attention of T query rows over S keys.
    ///
    /// - Parameters:
    ///   - query: [T, h · d]; f32 if T is 1.
    ///   - keys, values: [S, h_kv · d], of the query's type, bf16, or i8 as `store` writes it.
    ///   - out: [T, h · d], of the query's type.
    ///   - weights: f32 only: receives the attention weights [h, T, S].
    public func attention(
        query: MatrixView, keys: MatrixView, values: MatrixView, shape: AttentionShape, mask: AttentionMask = .none,
        into out: MatrixView, weights: UnsafeMutablePointer<Float>? = nil
    ) {
        precondition(query.columns == shape.heads * shape.headSize && out.columns == query.columns, "attention: query")
        precondition(
            keys.columns == shape.keyValueHeads * shape.headSize && keys.rows == values.rows, "attention: keys")
        if query.rows == 1, query.type == .f32, weights == nil {
            let known = 0..<min(mask.unmasked(of: keys.rows).count, keys.rows)
            return attention(
                query: query, KeyValueRows(keys: keys.rows(known), values: values.rows(known)), shape: shape,
                into: out)
        }
        precondition(values.type == keys.type && values.stride == keys.stride, "attention: values")
        if weights == nil, isTiled(query: query, keys: keys) {
            return tiledAttention(query: query, keys: keys, values: values, shape: shape, mask: mask, into: out)
        }
        precondition(query.type == keys.type, "attention: \(query.type) over \(keys.type)")
        // A slice of rows whose scores, all heads, take at most 64 MiB regardless of the number of keys.
        let rowsPerSlice = max(1, min(query.rows, (16 << 20) / max(1, shape.heads * keys.rows)))
        var start = 0
        while start < query.rows {
            let rows = start..<min(query.rows, start + rowsPerSlice)
            attentionSlice(
                query.rows(rows), keys, values, shape, mask.rows(from: start), into: out.rows(rows),
                weights: weights.map { ($0, query.rows, start) })
            start = rows.upperBound
        }
    }

    /// Attention of several sequences of T query rows, each over its own S keys and with the same mask.
    ///
    /// - Parameters:
    ///   - query: [sequences · T, h · d]; f32 if T is 1.
    ///   - keys, values: [sequences · S, h_kv · d], as for one sequence.
    ///   - out: [sequences · T, h · d], of the query's type.
    public func attention(
        sequences: Int, query: MatrixView, keys: MatrixView, values: MatrixView, shape: AttentionShape,
        mask: AttentionMask, into out: MatrixView
    ) {
        precondition(query.rows % sequences == 0 && keys.rows % sequences == 0, "attention: sequences")
        let (rows, keyCount) = (query.rows / sequences, keys.rows / sequences)
        func rowsOf(_ sequence: Int, _ matrix: MatrixView, _ rows: Int) -> MatrixView {
            matrix.rows(sequence * rows..<(sequence + 1) * rows)
        }
        // The scores of one thread's heads: at most 32 MiB.
        let isSmall = rows <= Self.fewRows && shape.queriesPerGroup * rows * keyCount <= 8 << 20
        guard multipliesPerThread, rows > 1, isSmall, keys.type == query.type else {
            for sequence in 0..<sequences {
                attention(
                    query: rowsOf(sequence, query, rows), keys: rowsOf(sequence, keys, keyCount),
                    values: rowsOf(sequence, values, keyCount), shape: shape, mask: mask,
                    into: rowsOf(sequence, out, rows))
            }
            return
        }
        let products = shape.queriesPerGroup * rows * keyCount * shape.headSize / 2
        let exponentials = shape.queriesPerGroup * rows * keyCount * Self.exponentialCost
        threadPool.parallelFor(sequences * shape.keyValueHeads, cost: products + exponentials) { range in
            for index in range {
                let (sequence, group) = index.quotientAndRemainder(dividingBy: shape.keyValueHeads)
                attention(
                    ofGroup: group, rowsOf(sequence, query, rows), rowsOf(sequence, keys, keyCount),
                    rowsOf(sequence, values, keyCount), shape, mask, into: rowsOf(sequence, out, rows),
                    headScratch[ThreadPool.index])
            }
        }
    }

    /// Scratch memory of one thread.
    final class HeadScratch {
        let query = Scratch()  // [h / h_kv · T, d] f32; for tiles of the operands' type
        let scores = Scratch()  // [h / h_kv · T, S] f32; for one row [h, keyBlock], for tiles [rows, keyBlock]
        let panel = Scratch()  // [keyBlock, d] f32; for tiles of the operands' type
        let mixed = Scratch()  // [h / h_kv · T, d] f32
        let packed = Scratch()  // rows of a product, [B, in] f32
        let weights = Scratch()  // [rows, keyBlock] bf16, of tiles
        let maxScores = Scratch()  // [rows] f32, of tiles
        let expSums = Scratch()  // [rows] f32, of tiles
    }

    /// Attention of the heads that share KV head `group`, few rows, on one thread.
    ///
    /// A block of keys (then of values) is upcast to f32 and multiplied while it is in the core's cache.
    private func attention(
        ofGroup group: Int, _ query: MatrixView, _ keys: MatrixView, _ values: MatrixView, _ shape: AttentionShape,
        _ mask: AttentionMask, into out: MatrixView, _ scratch: HeadScratch
    ) {
        let (rows, size, count) = (query.rows, shape.headSize, keys.rows)
        let groupRows = shape.queriesPerGroup * rows
        let groupColumns = group * size..<(group + 1) * size
        let q = scratch.query.matrix(.f32, rows: groupRows, columns: size)  // [h / h_kv · T, d]
        let scores = scratch.scores.matrix(.f32, rows: groupRows, columns: count)  // [h / h_kv · T, S]
        let mixed = scratch.mixed.matrix(.f32, rows: groupRows, columns: size)  // [h / h_kv · T, d]
        func columns(_ head: Int) -> Range<Int> {
            (group * shape.queriesPerGroup + head) * size..<(group * shape.queriesPerGroup + head + 1) * size
        }
        func panel(_ matrix: MatrixView, _ range: Range<Int>) -> MatrixView {
            let stored = matrix.rows(range).columns(groupColumns)
            guard stored.type != .f32 else { return stored }
            let upcast = scratch.panel.matrix(.f32, rows: range.count, columns: size)
            convert(stored, into: upcast)
            return upcast
        }
        for head in 0..<shape.queriesPerGroup {
            convert(query.columns(columns(head)), into: q.rows(head * rows..<(head + 1) * rows))
        }
        for first in stride(from: 0, to: count, by: Self.keyBlock) {
            let range = first..<min(count, first + Self.keyBlock)
            let k = panel(keys, range)
            matmul.gemm(
                GEMM(
                    m: groupRows, n: range.count, k: size, a: q.floats, aRow: q.stride, b: k.floats, bRow: k.stride,
                    isTransposed: true, accumulate: false, c: scores.columns(range).floats, cRow: count))
        }
        let unmasked = mask.unmasked(of: count)
        for head in 0..<shape.queriesPerGroup {
            let row = scores.rows(head * rows..<(head + 1) * rows).floats
            kernels.table.softmax(
                row, count, 1 / Float(size).squareRoot(), rows, count, unmasked.count, unmasked.step, row, LT_F32,
                count)
        }
        for first in stride(from: 0, to: count, by: Self.keyBlock) {
            let range = first..<min(count, first + Self.keyBlock)
            let v = panel(values, range)
            matmul.gemm(
                GEMM(
                    m: groupRows, n: size, k: range.count, a: scores.columns(range).floats, aRow: count, b: v.floats,
                    bRow: v.stride, isTransposed: false, accumulate: range.lowerBound > 0, c: mixed.floats, cRow: size))
        }
        for head in 0..<shape.queriesPerGroup {
            convert(mixed.rows(head * rows..<(head + 1) * rows), into: out.columns(columns(head)))
        }
    }

    /// Keys or values processed at a time.
    static let keyBlock = 512

    /// Attention of one slice of rows by batched products; all heads at once.
    private func attentionSlice(
        _ query: MatrixView, _ keys: MatrixView, _ values: MatrixView, _ shape: AttentionShape, _ mask: AttentionMask,
        into out: MatrixView, weights: (base: UnsafeMutablePointer<Float>, rows: Int, start: Int)?
    ) {
        let (rows, keyCount, type) = (query.rows, keys.rows, query.type)
        // With few rows per head each product is thin, and a group's keys are laid out once per head that shares them.
        // Then the rows of all heads that share keys are gathered into one product.
        let isPacked = shape.queriesPerGroup > 1 && rows <= Self.fewRows
        let (repeats, m) = isPacked ? (1, shape.queriesPerGroup * rows) : (shape.queriesPerGroup, rows)
        let packed = packedRows.matrix(type, rows: isPacked ? shape.heads * rows : 0, columns: shape.headSize)
        if isPacked { pack(query, shape, into: packed) }
        let scores = self.scores.matrix(.f32, rows: shape.heads * rows, columns: keyCount)  // [h · T, S]
        let weighted = type == .f32 ? scores : probabilities.matrix(type, rows: scores.rows, columns: keyCount)
        matmul.batchedGEMM(
            BatchedGEMM(
                groups: shape.keyValueHeads, repeats: repeats, m: m, n: keyCount, k: shape.headSize, aType: type,
                aGroup: isPacked ? m * shape.headSize : repeats * shape.headSize, aRepeat: shape.headSize,
                aRow: isPacked ? shape.headSize : query.stride, bGroup: shape.headSize, bRow: 1, bColumn: keys.stride,
                cType: .f32, cGroup: repeats * m * keyCount, cRepeat: m * keyCount, cRow: keyCount),
            a: isPacked ? packed.base : query.base, b: keys.base, c: scores.base)
        let table = kernels.table
        let scale = 1 / Float(shape.headSize).squareRoot()
        let unmasked = mask.unmasked(of: keyCount)
        threadPool.parallelFor(shape.heads * rows, cost: keyCount * Self.exponentialCost) { range in
            // A thread's range may begin and end inside a head, and the causal limit restarts at each head.
            var first = range.lowerBound
            while first < range.upperBound {
                let row = first % rows
                let count = min(rows - row, range.upperBound - first)
                table.softmax(
                    scores.rows(first..<first + count).floats, keyCount, scale, count, keyCount,
                    unmasked.count + row * unmasked.step, unmasked.step, weighted.row(first), type.kernel, keyCount)
                first += count
            }
        }
        if let weights {
            for head in 0..<shape.heads {
                (weights.base + (head * weights.rows + weights.start) * keyCount).update(
                    from: weighted.floats + head * rows * keyCount, count: rows * keyCount)
            }
        }
        matmul.batchedGEMM(
            BatchedGEMM(
                groups: shape.keyValueHeads, repeats: repeats, m: m, n: shape.headSize, k: keyCount, aType: type,
                aGroup: repeats * m * keyCount, aRepeat: m * keyCount, aRow: keyCount, bGroup: shape.headSize,
                bRow: values.stride, bColumn: 1, cType: out.type,
                cGroup: isPacked ? m * shape.headSize : repeats * shape.headSize, cRepeat: shape.headSize,
                cRow: isPacked ? shape.headSize : out.stride),
            a: weighted.base, b: values.base, c: isPacked ? packed.base : out.base)
        if isPacked { unpack(packed, shape, into: out) }
    }

    /// Up to this many rows per head the heads that share keys are multiplied together.
    private static let fewRows = 128

    /// Copies [T, h · d] to head-major order [h · T, d].
    private func pack(_ rows: MatrixView, _ shape: AttentionShape, into packed: MatrixView) {
        let bytes = shape.headSize * rows.type.size
        for head in 0..<shape.heads {
            for row in 0..<rows.rows {
                packed.row(head * rows.rows + row).copyMemory(from: rows.row(row) + head * bytes, byteCount: bytes)
            }
        }
    }

    /// Copies [h · T, d] back to [T, h · d].
    private func unpack(_ packed: MatrixView, _ shape: AttentionShape, into rows: MatrixView) {
        let bytes = shape.headSize * rows.type.size
        for head in 0..<shape.heads {
            for row in 0..<rows.rows {
                (rows.row(row) + head * bytes).copyMemory(from: packed.row(head * rows.rows + row), byteCount: bytes)
            }
        }
    }
}
