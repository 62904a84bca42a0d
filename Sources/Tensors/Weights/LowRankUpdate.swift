/// A matrix with a LoRA adapter's update: W + scale · B·A, computed when it is used.
///
/// Computed in f32 and rounded once to the type of W. Source: PEFT's `Linear.merge`; its `Embedding.merge` rounds the
/// update first.
package struct LowRankUpdate: Sendable {
    /// The base model's matrix [out, in]; [in, out] if `isTransposed`.
    let base: StoredTensor
    /// [r, in].
    let down: StoredTensor
    /// [out, r].
    let up: StoredTensor
    let scale: Float
    /// True if W has inputs as rows: embeddings, and layers of the adapter's `fan_in_fan_out`.
    let isTransposed: Bool

    /// Nil unless the shapes fit and all types are F32, F16 or BF16.
    package init?(base: StoredTensor, down: StoredTensor, up: StoredTensor, scale: Float, isTransposed: Bool) {
        guard base.shape.count == 2, down.shape.count == 2, up.shape.count == 2, down.shape[0] == up.shape[1],
            (isTransposed ? [down.shape[1], up.shape[0]] : [up.shape[0], down.shape[1]]) == base.shape,
            [base, down, up].allSatisfy({ [.f32, .f16, .bf16].contains($0.type) })
        else { return nil }
        self.base = base
        self.down = down
        self.up = up
        self.scale = scale
        self.isTransposed = isTransposed
    }

    /// The updated matrix, computed on first use.
    package var merged: StoredTensor {
        StoredTensor(
            name: base.name, type: base.type, shape: base.shape,
            elements: DeferredElements(byteCount: base.byteCount, fill: fill))
    }

    private func fill(_ target: UnsafeMutableRawPointer) {
        guard let base = try? base.floats(), let down = try? down.floats(), let up = try? up.floats() else { return }
        let rank = self.down.shape[0]
        let (rows, columns) = (self.base.shape[0], self.base.shape[1])
        // Row o of the update: the rows of `right` [r, columns] weighted by the factors of `left` [rows, r].
        let left = isTransposed ? Self.transposed(down, rows: rank, columns: rows) : up
        let right = isTransposed ? Self.transposed(up, rows: columns, columns: rank) : down
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { sum in
            right.withUnsafeBufferPointer { right in
                for row in 0..<rows {
                    sum.initialize(repeating: 0)
                    for index in 0..<rank {
                        let factor = left[row * rank + index]
                        let first = index * columns
                        for column in 0..<columns { sum[column] += factor * right[first + column] }
                    }
                    let first = row * columns
                    for column in 0..<columns {
                        store(base[first + column] + sum[column] * scale, at: first + column, in: target)
                    }
                }
            }
        }
    }

    private func store(_ value: Float, at index: Int, in target: UnsafeMutableRawPointer) {
        switch base.type {
        case .f16: target.storeBytes(of: Float16(value).bitPattern, toByteOffset: index * 2, as: UInt16.self)
        case .bf16: target.storeBytes(of: Self.bfloat16(value), toByteOffset: index * 2, as: UInt16.self)
        default: target.storeBytes(of: value, toByteOffset: index * 4, as: Float.self)
        }
    }

    /// Rounds to nearest, ties to even.
    private static func bfloat16(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16)
    }

    private static func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: values.count) { buffer, filled in
            for row in 0..<rows {
                for column in 0..<columns { buffer[column * rows + row] = values[row * columns + column] }
            }
            filled = rows * columns
        }
    }
}
