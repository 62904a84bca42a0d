import CKernels
import Testing

/// Products of one row and of a few rows with the same weight.
struct GemvTests {
    private let helper = KernelsTests()

    @Test(arguments: KernelsTests.names) func `a row has the same bits alone and among others`(name: String) throws {
        let table = try helper.table(name)
        for n in [1, 7, 8, 31, 64, 65, 97, 257, 1021, 1024, 1100, 2112, 4103] {
            // Rows of x beyond LT_GEMV_ROWS, and weight rows beyond and below a block.
            for (rows, count) in [(1, 2), (3, 8), (8, 5), (9, 1), (21, 17)] {
                let (weight, x) = (
                    helper.values(rows * (n + 3), seed: 3), helper.values(count * (n + 1) + 1, seed: UInt64(n))
                )
                let bias = helper.values(rows, seed: 5)
                var halves = [UInt16](repeating: 0, count: weight.count)
                table.f32_to_bf16(weight, &halves, weight.count)
                let cases: [(lt_dtype, Int32)] = [(LT_F32, 0), (LT_F32, 1), (LT_BF16, 0), (LT_BF16, 1)]
                for (type, accumulate) in cases {
                    // The gap after each row must stay as it was.
                    let before = helper.values(count * (rows + 2), seed: 8)
                    var (alone, together) = (before, before)
                    var packed = [Float](repeating: .nan, count: Int(LT_GEMV_ROWS) * n)
                    let bias: [Float]? = accumulate == 0 ? nil : bias
                    weight.withUnsafeBytes { floats in
                        halves.withUnsafeBytes { halves in
                            let base = type == LT_F32 ? floats.baseAddress : halves.baseAddress
                            x.withUnsafeBufferPointer { x in
                                let first = x.baseAddress! + 1
                                for row in 0..<count {
                                    alone.withUnsafeMutableBufferPointer {
                                        table.gemv(
                                            base, type, n + 3, first + row * (n + 1), bias, accumulate, rows, n,
                                            $0.baseAddress! + row * (rows + 2))
                                    }
                                }
                                table.gemv_rows(
                                    base, type, n + 3, first, n + 1, count, bias, accumulate, rows, n, &packed,
                                    &together, rows + 2)
                            }
                        }
                    }
                    #expect(
                        alone.map(\.bitPattern) == together.map(\.bitPattern), "n = \(n), \(rows) × \(count), \(type)")
                }
            }
        }
    }
}
