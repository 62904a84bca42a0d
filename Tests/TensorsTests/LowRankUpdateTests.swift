import Tensors
import Testing

/// W + scale · B·A against the formula.
@Suite struct LowRankUpdateTests {
    private final class Values: Sendable {
        let bits: [UInt16]
        init(_ bits: [UInt16]) { self.bits = bits }
    }

    private static func bfloat16(_ value: Float) -> UInt16 {
        UInt16(truncatingIfNeeded: (value.bitPattern + 0x7fff + (value.bitPattern >> 16 & 1)) >> 16)
    }

    /// A tensor of bf16 that keeps its values.
    private static func tensor(_ shape: [Int], _ values: [Float]) -> StoredTensor {
        let owner = Values(values.map(bfloat16))
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * values.count, alignment: 2)
        owner.bits.withUnsafeBytes { bytes.copyMemory(from: $0) }
        return StoredTensor(name: "w", type: .bf16, shape: shape, bytes: UnsafeRawBufferPointer(bytes), owner: owner)
    }

    @Test(arguments: [false, true]) func `bf16 is rounded once, in both orders`(isTransposed: Bool) throws {
        let (rows, columns, rank) = (5, 7, 3)
        func values(_ count: Int, _ factor: Float) -> [Float] {
            (0..<count).map { Float(bitPattern: UInt32(Self.bfloat16(Float(($0 * 37 + 11) % 29 - 14) * factor)) << 16) }
        }
        let base = values(rows * columns, 0.11), down = values(rank * columns, 0.07), up = values(rows * rank, 0.05)
        // The same matrix with inputs as rows.
        let stored = isTransposed ? (0..<rows * columns).map { base[$0 % rows * columns + $0 / rows] } : base
        let update = try #require(
            LowRankUpdate(
                base: Self.tensor(isTransposed ? [columns, rows] : [rows, columns], stored),
                down: Self.tensor([rank, columns], down), up: Self.tensor([rows, rank], up), scale: 0.75,
                isTransposed: isTransposed))
        let merged = update.merged
        #expect(merged.type == .bf16 && merged.byteCount == 2 * rows * columns)
        let found = try merged.floats()
        for row in 0..<rows {
            for column in 0..<columns {
                var sum: Float = 0
                for index in 0..<rank { sum += up[row * rank + index] * down[index * columns + column] }
                let value = base[row * columns + column] + sum * 0.75
                let wanted = Float(bitPattern: UInt32(Self.bfloat16(value)) << 16)
                #expect(found[isTransposed ? column * rows + row : row * columns + column] == wanted)
            }
        }
    }

    @Test func `shapes that do not fit are refused`() {
        let base = Self.tensor([5, 7], [Float](repeating: 1, count: 35))
        func update(_ down: [Int], _ up: [Int], _ isTransposed: Bool = false) -> LowRankUpdate? {
            LowRankUpdate(
                base: base, down: Self.tensor(down, [Float](repeating: 1, count: down.reduce(1, *))),
                up: Self.tensor(up, [Float](repeating: 1, count: up.reduce(1, *))), scale: 1, isTransposed: isTransposed
            )
        }
        #expect(update([3, 7], [5, 3]) != nil)
        #expect(
            update([3, 7], [5, 2]) == nil && update([3, 5], [7, 3]) == nil && update([3, 7], [5, 3], true) == nil)
        #expect(update([3, 5], [7, 3], true) != nil)
        #expect(update([21], [5, 3]) == nil && update([3, 7, 1], [5, 3]) == nil)
    }
}
