internal import CKernels

/// bf16 products where the library or the CPU has none: operands are widened to f32, a panel of the weights at a time, and multiplied
/// there; what is to be bf16 is rounded from the f32 sums.
///
/// The weights stay in memory as they are stored: a model of 16 GB needs no 32.
final class WideningProducts: Products {
    private let products: any Products
    private let kernels: Kernels
    private let workers: Workers
    private let left = Scratch()
    private let right = Scratch()
    private let result = Scratch()
    /// Of a panel in f32: small beside a cache of the last level, large beside what one more call costs.
    private static let panelBytes = 8 << 20

    init(_ products: any Products, kernels: Kernels, workers: Workers) {
        self.products = products
        self.kernels = kernels
        self.workers = workers
    }

    var version: String { products.version }

    func linear(_ product: LinearProduct) {
        guard product.weight.type == .bf16 else { return products.linear(product) }
        let (weight, output) = (product.weight, product.output)
        let input = widen(product.input, into: left)
        let most = max(1, Self.panelBytes / (weight.columns * 4))
        let panels = (weight.rows + most - 1) / most
        // Of equal size but for the last, so that few shapes are met.
        let step = (weight.rows + panels - 1) / panels
        for first in stride(from: 0, to: weight.rows, by: step) {
            let range = first..<min(first + step, weight.rows)
            let panel = widen(weight.slice(rows: range).block, into: right)
            let own = output.columns(range)
            let sums = own.type == .f32 ? own : result.block(.f32, rows: own.rows, columns: own.columns)
            products.linear(
                LinearProduct(
                    input: input, weight: Matrix(panel, owner: right), bias: product.bias.map { $0 + first },
                    activation: product.activation, accumulate: product.accumulate, output: sums))
            if own.type == .bf16 { narrow(sums, into: own) }
        }
    }

    func grouped(_ product: GroupedProduct, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutableRawPointer) {
        guard product.aType == .bf16 else { return products.grouped(product, a: a, b: b, c: c) }
        let p = product
        // b is read row by row, whether those are its columns or not.
        let isTransposed = p.bRow == 1
        let (rows, columns, stride) = isTransposed ? (p.n, p.k, p.bColumn) : (p.k, p.n, p.bRow)
        let wideA = left.block(.f32, rows: p.groups * p.repeats * p.m, columns: p.k)
        let wideB = right.block(.f32, rows: p.groups * rows, columns: columns)
        for group in 0..<p.groups {
            for index in 0..<p.repeats {
                let first = (group * p.repeats + index) * p.m
                let own = a + (group * p.aGroup + index * p.aRepeat) * 2
                widen(view(own, p.m, p.k, p.aRow), into: wideA.rows(first..<first + p.m))
            }
            widen(
                view(b + group * p.bGroup * 2, rows, columns, stride),
                into: wideB.rows(group * rows..<(group + 1) * rows))
        }
        var wide = p
        wide.aType = .f32
        (wide.aGroup, wide.aRepeat, wide.aRow) = (p.repeats * p.m * p.k, p.m * p.k, p.k)
        (wide.bGroup, wide.bRow, wide.bColumn) = (p.n * p.k, isTransposed ? 1 : p.n, isTransposed ? p.k : 1)
        guard p.cType == .bf16 else { return products.grouped(wide, a: wideA.base, b: wideB.base, c: c) }
        let sums = result.block(.f32, rows: p.groups * p.repeats * p.m, columns: p.n)
        wide.cType = .f32
        (wide.cGroup, wide.cRepeat, wide.cRow) = (p.repeats * p.m * p.n, p.m * p.n, p.n)
        products.grouped(wide, a: wideA.base, b: wideB.base, c: sums.base)
        for group in 0..<p.groups {
            for index in 0..<p.repeats {
                let first = (group * p.repeats + index) * p.m
                narrow(
                    sums.rows(first..<first + p.m),
                    into: view(c + (group * p.cGroup + index * p.cRepeat) * 2, p.m, p.n, p.cRow))
            }
        }
    }

    private func view(_ base: UnsafeRawPointer, _ rows: Int, _ columns: Int, _ stride: Int) -> Block {
        Block(UnsafeMutableRawPointer(mutating: base), type: .bf16, rows: rows, columns: columns, stride: stride)
    }

    /// `block` in f32, row behind row.
    private func widen(_ block: Block, into scratch: Scratch) -> Block {
        guard block.type == .bf16 else { return block }
        let out = scratch.block(.f32, rows: block.rows, columns: block.columns)
        widen(block, into: out)
        return out
    }

    private func widen(_ block: Block, into out: Block) {
        let table = kernels.table
        workers.split(block.rows, grain: grain(block)) { range in
            for row in range {
                table.bf16_to_f32(
                    block.row(row).assumingMemoryBound(to: UInt16.self),
                    out.row(row).assumingMemoryBound(to: Float.self),
                    block.columns)
            }
        }
    }

    private func narrow(_ block: Block, into out: Block) {
        let table = kernels.table
        workers.split(block.rows, grain: grain(block)) { range in
            for row in range {
                table.f32_to_bf16(
                    block.row(row).assumingMemoryBound(to: Float.self),
                    out.row(row).assumingMemoryBound(to: UInt16.self),
                    block.columns)
            }
        }
    }

    /// Rows that are worth a thread.
    private func grain(_ block: Block) -> Int { max(1, 16384 / max(1, block.columns)) }
}
