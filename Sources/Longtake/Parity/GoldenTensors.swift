internal import Tensors

/// The tensors of a golden file by name, as floats or integers.
struct GoldenTensors {
    let tensors: [String: StoredTensor]
    private let kernels: Kernels

    init(path: String, kernels: Kernels) throws {
        tensors = try SafetensorsFile(path: path).tensors
        self.kernels = kernels
    }

    func shape(_ name: String) -> [Int]? { tensors[name]?.shape }

    func floats(_ name: String) -> [Float]? { tensors[name]?.floats(kernels: kernels) }

    func integers(_ name: String) -> [Int]? {
        guard let tensor = tensors[name] else { return nil }
        switch tensor.type {
        case .i64:
            return (0..<tensor.count).map { Int(tensor.bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) }
        case .i32:
            return (0..<tensor.count).map { Int(tensor.bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) }
        case .u8: return tensor.bytes.map { Int($0) }
        default: return nil
        }
    }

    func bytes(_ name: String) -> UnsafeRawBufferPointer? {
        guard let tensor = tensors[name], tensor.type == .u8 else { return nil }
        return tensor.bytes
    }
}

/// Rows collected from a model's trace, frame after frame.
final class TraceCollector {
    private(set) var values: [String: [Float]] = [:]

    func collect(_ name: String, _ rows: Block) {
        guard rows.type == .f32 else { return }
        for row in 0..<rows.rows {
            let line = rows.rows(row..<row + 1).floats
            values[name, default: []].append(contentsOf: UnsafeBufferPointer(start: line, count: rows.columns))
        }
    }
}
