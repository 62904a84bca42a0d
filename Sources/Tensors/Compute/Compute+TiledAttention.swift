internal import CKernels

// Letters: T query rows, S keys, h query heads, h_kv KV heads, d head size.

/// Attention by tiles, for long S and for keys and values that are stored in another type than the queries.
///
/// Each thread takes a block of query rows and a KV head, and reads the keys once, a tile at a time, with a running
/// maximum and sum per row: scores exist only for one tile, so memory does not grow with S. Tiles that are masked for
/// all rows are skipped. The blocks do not depend on the number of threads, so neither does the result.
/// Source: Dao et al. 2022, FlashAttention, algorithm 1.
extension Compute {
    /// From this many keys on attention is computed by tiles; with fewer, a slice's scores fit in the caches as well.
    public static let tiledKeys = 2048
    /// Query rows of one tile, all heads of a group together: scores of a tile take 512 KiB.
    private static let tileRows = 256

    /// True if attention of these rows is computed by tiles.
    func isTiled(query: MatrixView, keys: MatrixView) -> Bool {
        keys.rows >= Self.tiledKeys || keys.type != query.type
    }

    /// Attention of T query rows; shapes and types as for `attention`.
    func tiledAttention(
        query: MatrixView, keys: MatrixView, values: MatrixView, shape: AttentionShape, mask: AttentionMask,
        into out: MatrixView
    ) {
        if keys.type == .i8 {
            return int8Attention(query: query, keys: keys, values: values, shape: shape, mask: mask, into: out)
        }
        let rowsPerBlock = max(1, Self.tileRows / shape.queriesPerGroup)
        let blocks = (query.rows + rowsPerBlock - 1) / rowsPerBlock
        let compute = { (range: Range<Int>) in
            for index in range {
                let (group, block) = index.quotientAndRemainder(dividingBy: blocks)
                let rows = block * rowsPerBlock..<min(query.rows, (block + 1) * rowsPerBlock)
                self.attention(
                    ofGroup: group, query.rows(rows), keys, values, shape, mask.rows(from: rows.lowerBound),
                    into: out.rows(rows), thread: ThreadPool.index)
            }
        }
        // OpenBLAS uses its own threads unless it is limited to one.
        let isShared = backend == .oneDNN || upcastsBF16
        if isShared {
            let cost = shape.queriesPerGroup * min(query.rows, rowsPerBlock) * keys.rows * shape.headSize
            threadPool.parallelFor(blocks * shape.keyValueHeads, cost: cost, compute)
        } else {
            compute(0..<blocks * shape.keyValueHeads)
        }
    }

    /// Rows of all heads of a group for which one thread packs a tile of int8 keys and values: enough that packing
    /// takes a twentieth of the time, few enough that their sums stay in the L2 cache.
    private static let int8Rows = 1024

    /// Attention over int8 keys and values as they are stored; queries and weights are quantized.
    ///
    /// A row's result has the same bits regardless of the other rows and of the number of threads.
    private func int8Attention(
        query: MatrixView, keys: MatrixView, values: MatrixView, shape: AttentionShape, mask: AttentionMask,
        into out: MatrixView
    ) {
        let table = kernels.table
        let (size, heads) = (shape.headSize, shape.queriesPerGroup)
        let rowsPerBlock = max(1, min(query.rows, Self.int8Rows / heads))
        let blocks = (query.rows + rowsPerBlock - 1) / rowsPerBlock
        let scratchBytes = table.attention_int8_scratch(rowsPerBlock, heads, size)
        // A multiply-add in integers takes about a quarter of one in f32.
        let cost = heads * rowsPerBlock * keys.rows * size / 2
        threadPool.parallelFor(blocks * shape.keyValueHeads, cost: cost) { range in
            let scratch = headScratch[ThreadPool.index].panel.matrix(.u8, rows: 1, columns: scratchBytes)
            for index in range {
                let (group, block) = index.quotientAndRemainder(dividingBy: blocks)
                let rows = block * rowsPerBlock..<min(query.rows, (block + 1) * rowsPerBlock)
                let columns = group * heads * size..<(group + 1) * heads * size
                let (source, target) = (query.rows(rows).columns(columns), out.rows(rows).columns(columns))
                let unmasked = mask.rows(from: rows.lowerBound).unmasked(of: keys.rows)
                var attention = lt_int8_attention()
                attention.q = UnsafeRawPointer(source.base)
                attention.type = source.type.kernel
                attention.q_stride = source.stride
                attention.queries = source.rows
                attention.group = heads
                attention.head_size = size
                attention.keys = UnsafePointer(keys.base.assumingMemoryBound(to: Int8.self))
                attention.values = UnsafePointer(values.base.assumingMemoryBound(to: Int8.self))
                attention.kv_stride = keys.stride
                attention.key_count = keys.rows
                attention.kv_heads = shape.keyValueHeads
                attention.kv_head = group
                attention.unmasked = unmasked.count
                attention.unmasked_step = unmasked.step
                attention.scale = 1 / Float(size).squareRoot()
                attention.out = target.base
                attention.out_stride = target.stride
                attention.scratch = scratch.base
                table.attention_int8(&attention)
            }
        }
    }

    /// Attention of the heads that share KV head `group`, on one thread.
    private func attention(
        ofGroup group: Int, _ query: MatrixView, _ keys: MatrixView, _ values: MatrixView, _ shape: AttentionShape,
        _ mask: AttentionMask, into out: MatrixView, thread: Int
    ) {
        let (table, scratch) = (kernels.table, headScratch[thread])
        let (rows, size, heads) = (query.rows, shape.headSize, shape.queriesPerGroup)
        // The operands of the products.
        let type: DType = query.type == .bf16 && !upcastsBF16 ? .bf16 : .f32
        let q = scratch.query.matrix(type, rows: heads * rows, columns: size)  // [h / h_kv · T, d]
        let sums = scratch.mixed.matrix(.f32, rows: heads * rows, columns: size)  // [h / h_kv · T, d]
        let maxScores = scratch.maxScores.matrix(.f32, rows: 1, columns: heads * rows).floats
        let expSums = scratch.expSums.matrix(.f32, rows: 1, columns: heads * rows).floats
        func columns(_ head: Int) -> Range<Int> {
            (group * heads + head) * size..<(group * heads + head + 1) * size
        }
        for head in 0..<heads {
            convert(query.columns(columns(head)), into: q.rows(head * rows..<(head + 1) * rows))
        }
        maxScores.update(repeating: -.infinity, count: heads * rows)
        expSums.update(repeating: 0, count: heads * rows)
        sums.floats.update(repeating: 0, count: heads * rows * size)
        let unmasked = mask.unmasked(of: keys.rows)
        let last = min(keys.rows, unmasked.count + (rows - 1) * unmasked.step)
        for start in stride(from: 0, to: last, by: Self.keyBlock) {
            let range = start..<min(last, start + Self.keyBlock)
            let scores = scratch.scores.matrix(.f32, rows: heads * rows, columns: range.count)
            let weights =
                type == .f32 ? scores : scratch.weights.matrix(type, rows: heads * rows, columns: range.count)
            let k = panel(keys.rows(range), shape, group, type, scratch.panel)  // [range, d]
            matmul.tile(
                TileGEMM(
                    type: type, m: q.rows, n: range.count, k: size, aRow: size, bRow: k.stride, isTransposed: true,
                    accumulate: false, cRow: range.count), a: q.base, b: k.base, c: scores.floats, thread: thread)
            for head in 0..<heads {
                let first = head * rows
                table.softmax_tile(
                    scores.rows(first..<first + rows).floats, range.count, 1 / Float(size).squareRoot(), rows,
                    range.count, unmasked.count - start, unmasked.step, maxScores + first, expSums + first,
                    sums.floats + first * size, size, weights.row(first), type.kernel, range.count)
            }
            let v = panel(values.rows(range), shape, group, type, scratch.panel)  // [range, d]
            matmul.tile(
                TileGEMM(
                    type: type, m: q.rows, n: size, k: range.count, aRow: range.count, bRow: v.stride,
                    isTransposed: false, accumulate: true, cRow: size), a: weights.base, b: v.base, c: sums.floats,
                thread: thread)
        }
        for head in 0..<heads {
            let target = out.columns(columns(head))
            table.softmax_finish(
                sums.floats + head * rows * size, expSums + head * rows, rows, size, target.base, target.type.kernel,
                target.stride)
        }
    }

    /// The keys (or values) of one KV head as `type`: [rows, d], those stored or a copy in `scratch`; f32 of int8 ones.
    func panel(_ stored: MatrixView, _ shape: AttentionShape, _ group: Int, _ type: DType, _ scratch: Scratch)
        -> MatrixView
    {
        let size = shape.headSize
        let head = stored.columns(group * size..<(group + 1) * size)
        guard stored.type != type else { return head }
        let copy = scratch.matrix(type, rows: stored.rows, columns: size)
        if stored.type == .i8 {
            kernels.table.dequantize_key_values(
                stored.base.assumingMemoryBound(to: Int8.self), stored.stride, stored.rows, shape.keyValueHeads, size,
                group, copy.base, type.kernel, copy.stride)
        } else {
            convert(head, into: copy)
        }
        return copy
    }

    /// Bytes of a row of cached keys (or values) of `shape` in `type`: f32, bf16 or i8.
    ///
    /// An i8 row is followed by one f32 scale per KV head.
    public static func keyValueRowBytes(_ shape: AttentionShape, type: DType) -> Int {
        let width = shape.keyValueHeads * shape.headSize
        return type == .i8 ? width + shape.keyValueHeads * MemoryLayout<Float>.size : width * type.size
    }

    /// Copies keys or values x [T, h_kv · d] f32 or bf16 to cached rows, rounding them to the rows' type.
    ///
    /// - Parameter rows: [T, h_kv · d] f32, bf16 or i8; scales follow an i8 row, max|x| / 127 of each KV head.
    public func store(_ x: MatrixView, into rows: MatrixView, shape: AttentionShape) {
        precondition(x.rows == rows.rows && x.columns == shape.keyValueHeads * shape.headSize, "store: shapes")
        let table = kernels.table
        threadPool.parallelFor(x.rows, cost: x.columns * Self.rowCost) { range in
            let (source, target) = (x.rows(range), rows.rows(range))
            guard target.type == .i8 else { return convert(source, into: target) }
            precondition(target.stride >= Self.keyValueRowBytes(shape, type: .i8), "store: no room for scales")
            table.quantize_key_values(
                source.base, source.type.kernel, source.stride, source.rows, shape.keyValueHeads, shape.headSize,
                target.base.assumingMemoryBound(to: Int8.self), target.stride)
        }
    }
}
