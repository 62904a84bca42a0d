internal import Checkpoints
internal import Tensors

/// The tensors of a golden file by name, converted to floats or integers.
struct GoldenTensors {
    let tensors: [String: StoredTensor]

    init(path: String) throws {
        tensors = try SafetensorsFile(path: path).tensors
    }

    func shape(_ name: String) -> [Int]? { tensors[name]?.shape }

    func floats(_ name: String) -> [Float]? { try? tensors[name]?.floats() }

    func integers(_ name: String) -> [Int]? { (try? tensors[name]?.integers())?.map { Int($0) } }

    func bytes(_ name: String) -> UnsafeRawBufferPointer? {
        guard let tensor = tensors[name], tensor.type == .u8 else { return nil }
        return tensor.bytes
    }
}

/// Collects f32 rows from a model's trace by name, appending frame after frame.
final class TraceCollector {
    private(set) var values: [String: [Float]] = [:]

    func collect(_ name: String, _ rows: MatrixView) {
        guard rows.type == .f32 else { return }
        for row in 0..<rows.rows {
            let line = rows.rows(row..<row + 1).floats
            values[name, default: []].append(contentsOf: UnsafeBufferPointer(start: line, count: rows.columns))
        }
    }
}
