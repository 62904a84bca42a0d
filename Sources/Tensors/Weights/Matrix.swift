internal import CKernels

/// The weight [out, in] of a linear layer, read in place from the checkpoint if possible.
///
/// Belongs to the computing thread; after `prepare()` several threads may read it.
public final class Matrix {
    /// Outputs of the layer.
    public let rows: Int
    /// Inputs of the layer.
    public let columns: Int
    /// The element type it is computed in; of quantized weights the type of the stored values, I8 or U8.
    public private(set) var type: DType
    private var storage: Storage
    /// Takes over if the quantized weights' error turns out to be too large.
    private var unquantized: Matrix?

    /// Bytes that a product reads of it.
    public var byteCount: Int {
        switch quantizedFormat {
        case .int8: rows * (columns + DType.f32.size)
        case .int8Groups:
            rows * (columns + (columns + WeightFormat.inputGroup - 1) / WeightFormat.inputGroup * DType.f32.size)
        case .int4:
            rows * ((columns + 1) / 2 + (columns + WeightFormat.groupSize - 1) / WeightFormat.groupSize * 4)
        case nil: rows * columns * type.size
        }
    }

    private enum Storage {
        case memory(UnsafeRawPointer, owner: AnyObject)
        /// Stored in a type other than `type`; converted on first use.
        case stored(StoredTensor, Compute)
        case part(of: Matrix, firstRow: Int)
        case quantized(QuantizedWeight)
    }

    /// Uses `tensor` as an [out, in] matrix of `type`; dimensions after the first count as inputs.
    ///
    /// Read in place if it is aligned and stored as `type`, or stored in bf16 and `compute` upcasts on use. Otherwise
    /// it is converted into `compute`'s weight memory on first use: a question about an index needs no vision tower.
    /// Nil unless the tensor has at least two dimensions and is F32, BF16 or F16.
    public init?(_ tensor: StoredTensor, as type: DType, compute: Compute) {
        guard tensor.shape.count >= 2, let rows = tensor.shape.first, rows > 0, let start = tensor.bytes.baseAddress,
            tensor.type == .f32 || tensor.type == .bf16 || tensor.type == .f16
        else { return nil }
        self.rows = rows
        columns = tensor.count / rows
        // Converting to f32 memory costs more than upcasting on use, because the kernel clears new memory first.
        let type = tensor.type == .bf16 && compute.upcastsBF16 ? DType.bf16 : type
        self.type = type
        let isReady = tensor.type == type && Int(bitPattern: start) % type.size == 0
        storage = isReady ? .memory(start, owner: tensor.owner) : .stored(tensor, compute)
    }

    /// Quantizes `tensor` [out, in], F32, F16 or BF16, on first use; dimensions after the first count as inputs.
    ///
    /// Nil for other shapes and types, and for more than 65,536 inputs.
    ///
    /// - Parameters:
    ///   - groupsInputs: activations have a scale per `WeightFormat.inputGroup` inputs instead of one per row, in int8.
    ///   - isBounded: weights whose error is above the bound of `QuantizationError` are computed in the precision of
    ///     `compute` instead, as in a quantized folder, where they are kept.
    public convenience init?(
        _ tensor: StoredTensor, quantizedAs format: WeightFormat, groupsInputs: Bool = false, compute: Compute,
        isBounded: Bool = false
    ) {
        guard
            let weight = QuantizedWeight(
                tensor, format: format, groupsInputs: groupsInputs, compute: compute, isMeasured: isBounded)
        else { return nil }
        self.init(weight)
        if isBounded { unquantized = Matrix(tensor, as: compute.precision, compute: compute) }
    }

    /// Uses stored int8 weights: `values` I8 [out, in], `scales` F32 [out] or [out, ⌈in/64⌉]; nil for other shapes and
    /// types.
    ///
    /// - Parameter groupsInputs: activations have a scale per `WeightFormat.inputGroup` inputs instead of one per row;
    ///   always if the weights have.
    public convenience init?(
        int8 values: StoredTensor, scales: StoredTensor, groupsInputs: Bool = false, compute: Compute
    ) {
        guard
            let weight = QuantizedWeight(int8: values, scales: scales, groupsInputs: groupsInputs, compute: compute)
        else { return nil }
        self.init(weight)
    }

    /// Uses stored int4 weights: `values` U8 [out, ⌈in/2⌉], the first of two in the low half; `scales` and `minima`
    /// BF16 [out, ⌈in/32⌉]; nil for other shapes and types.
    ///
    /// - Parameter columns: inputs; nil if their number is even.
    public convenience init?(
        int4 values: StoredTensor, scales: StoredTensor, minima: StoredTensor, columns: Int? = nil, compute: Compute
    ) {
        guard
            let weight = QuantizedWeight(
                int4: values, scales: scales, minima: minima, columns: columns, compute: compute)
        else { return nil }
        self.init(weight)
    }

    private convenience init(_ weight: QuantizedWeight) {
        self.init(
            rows: weight.rows, columns: weight.columns, type: weight.format.isInt8 ? .i8 : .u8,
            storage: .quantized(weight))
    }

    /// The format of quantized weights; nil for floating-point weights.
    public var quantizedFormat: WeightFormat? { quantized?.format }

    var quantized: QuantizedWeight? {
        if case .quantized(let weight) = storage { weight } else { nil }
    }

    private init(rows: Int, columns: Int, type: DType, storage: Storage) {
        self.rows = rows
        self.columns = columns
        self.type = type
        self.storage = storage
    }

    /// The elements, row-major; converts them on first use.
    var base: UnsafeRawPointer {
        switch storage {
        case .memory(let base, owner: _): return base
        case .part(of: let whole, let firstRow): return whole.base + firstRow * columns * type.size
        case .quantized: preconditionFailure("quantized weights have no elements in order")
        case .stored(let tensor, let compute):
            let memory = compute.weights.room(for: tensor.count * type.size)
            tensor.convert(to: type, into: memory.base, kernels: compute.kernels)
            let base = UnsafeRawPointer(memory.base)
            storage = .memory(base, owner: memory.owner)
            return base
        }
    }

    /// Converts the weight if necessary, so that several threads may read it afterwards.
    func prepare() {
        guard let quantized else {
            _ = base
            return
        }
        quantized.prepare()
        guard let unquantized, !quantized.isWithinBound else { return }
        self.unquantized = nil
        type = unquantized.type
        storage = .part(of: unquantized, firstRow: 0)
        _ = base
    }

    /// A view [out, in] of the weight; read-only.
    var view: MatrixView {
        MatrixView(UnsafeMutableRawPointer(mutating: base), type: type, rows: rows, columns: columns)
    }

    /// An all-zero matrix, for measuring speed.
    convenience init(zeros rows: Int, columns: Int, type: DType) {
        let memory = OwnedMemory(count: rows * columns * type.size)
        memory.buffer.pointer.update(repeating: 0, count: memory.buffer.count)
        self.init(
            rows: rows, columns: columns, type: type,
            storage: .memory(UnsafeRawPointer(memory.buffer.pointer), owner: memory))
    }

    /// The outputs `range` as a matrix that shares the memory, for weights stored packed (q, k, v in one tensor).
    ///
    /// Quantized weights are packed for each slice, so take slices or the whole, not both.
    public func slice(rows range: Range<Int>) -> Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        if let quantized { return Matrix(quantized.slice(rows: range)) }
        return Matrix(
            rows: range.count, columns: columns, type: type, storage: .part(of: self, firstRow: range.lowerBound))
    }

    /// Copies row `index` as f32 into `out` [in] (an embedding lookup); traps for quantized weights.
    public func copyRow(_ index: Int, into out: UnsafeMutablePointer<Float>, kernels: Kernels) {
        precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
        let row = base + index * columns * type.size
        switch type {
        case .f32: out.update(from: row.assumingMemoryBound(to: Float.self), count: columns)
        case .bf16: kernels.table.bf16_to_f32(row.assumingMemoryBound(to: UInt16.self), out, columns)
        default: preconditionFailure("a weight of type \(type)")
        }
    }
}

private final class OwnedMemory {
    let buffer: Buffer<UInt8>
    init(count: Int) { buffer = Buffer(count: count) }
}

/// Memory for weights that are converted because their stored type differs from the compute type.
///
/// Small matrices share 8 MiB pieces, large enough for huge pages: a model of a few megabytes loads in two thirds of
/// the time.
final class WeightMemory {
    private static let pieceBytes = 8 << 20
    private var piece = OwnedMemory(count: 0)
    private var used = 0

    /// Uninitialized memory for `bytes` bytes, aligned to 64; valid while `owner` lives.
    func room(for bytes: Int) -> (base: UnsafeMutableRawPointer, owner: AnyObject) {
        guard bytes <= Self.pieceBytes / 4 else {
            let own = OwnedMemory(count: bytes)
            return (UnsafeMutableRawPointer(own.buffer.pointer), own)
        }
        if used + bytes > piece.buffer.count {
            piece = OwnedMemory(count: Self.pieceBytes)
            used = 0
        }
        defer { used += (bytes + 63) & ~63 }
        return (UnsafeMutableRawPointer(piece.buffer.pointer) + used, piece)
    }
}

extension StoredTensor {
    /// Writes all elements as `type`; the tensor must be F32, F16 or BF16.
    fileprivate func convert(to type: DType, into target: UnsafeMutableRawPointer, kernels: Kernels) {
        if type == .f32 {
            copyFloats(0, count: count, into: target.assumingMemoryBound(to: Float.self), kernels: kernels)
            return
        }
        // In pieces, so that a large tensor needs no complete f32 copy besides its source and target.
        let step = 1 << 16
        let staging = Buffer<Float>(count: min(step, max(count, 1)))
        for first in stride(from: 0, to: count, by: step) {
            let length = min(step, count - first)
            copyFloats(first, count: length, into: staging.pointer, kernels: kernels)
            kernels.table.f32_to_bf16(
                staging.pointer, (target + first * 2).assumingMemoryBound(to: UInt16.self), length)
        }
    }

    /// Copies `count` elements from `offset` on as f32; the tensor must be F32, F16 or BF16 and may be misaligned.
    public func copyFloats(_ offset: Int, count: Int, into out: UnsafeMutablePointer<Float>, kernels: Kernels) {
        guard let base = bytes.baseAddress, count > 0 else { return }
        let source = base + offset * type.size
        switch type {
        case .f32:
            UnsafeMutableRawPointer(out).copyMemory(from: source, byteCount: count * 4)
        case .bf16, .f16:
            guard let upcast = type == .bf16 ? kernels.table.bf16_to_f32 : kernels.table.f16_to_f32 else { return }
            guard Int(bitPattern: source) % 2 != 0 else {
                upcast(source.assumingMemoryBound(to: UInt16.self), out, count)
                return
            }
            // The halves are staged in the upper half of `out`, so that upcasting never overwrites unread ones.
            let halves = (UnsafeMutableRawPointer(out) + count * 2).assumingMemoryBound(to: UInt16.self)
            UnsafeMutableRawPointer(halves).copyMemory(from: source, byteCount: count * 2)
            let step = 4096
            withUnsafeTemporaryAllocation(of: UInt16.self, capacity: step) { piece in
                guard let pieceBase = piece.baseAddress else { return }
                for first in stride(from: 0, to: count, by: step) {
                    let length = min(step, count - first)
                    pieceBase.update(from: halves + first, count: length)
                    upcast(pieceBase, out + first, length)
                }
            }
        default:
            preconditionFailure("tensor \(name) of type \(type) read as floats")
        }
    }
}
