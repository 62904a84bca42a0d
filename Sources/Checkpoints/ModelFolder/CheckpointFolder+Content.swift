public import Tensors

/// A tensor that has NaN or infinite values, and how many.
public struct NonFiniteTensor: Sendable, Equatable, Codable {
    /// The tensor's name in the checkpoint.
    public let name: String
    /// The number of NaN and infinite values.
    public let count: NonFiniteCount
}

extension CheckpointFolder {
    /// Reads every weight once and lists the tensors with NaN or infinite values, sorted by name; empty for a valid
    /// checkpoint.
    ///
    /// `progress` receives the bytes read and the total. Throws `file_changed` if a file's size changed.
    public func scanNonFinite(progress: (Int64, Int64) throws -> Void = { _, _ in }) throws -> [NonFiniteTensor] {
        let folders = [weights] + (towerWeights.map { [$0] } ?? [])
        let total = folders.reduce(0) { $0 + Int64($1.dataBytes) }
        var done: Int64 = 0
        var found: [NonFiniteTensor] = []
        for (_, file) in folders.flatMap(\.files) {
            try file.checkUnchanged()
            for tensor in file.names.compactMap({ file.tensors[$0] }) {
                let count = tensor.countNonFinite()
                if !count.isZero { found.append(NonFiniteTensor(name: tensor.name, count: count)) }
                done += Int64(tensor.byteCount)
                try progress(done, total)
            }
        }
        return found.sorted { $0.name < $1.name }
    }

    /// A canonical description of this checkpoint: cheap to compute, different for different weights. Hash it to
    /// identify a model.
    ///
    /// It contains the configuration files that affect the computation and, of each weight file, its name, size,
    /// header, both ends (64 KiB each) and the first KiB of every tensor: a few megabytes at full size. Weights up to
    /// 64 MiB are included completely. Paths and tokenizers are not included.
    ///
    /// - Parameter body: receives the description in pieces, in order.
    public func identityBytes(_ body: (UnsafeRawBufferPointer) -> Void) {
        func number(_ value: Int) { withUnsafeBytes(of: UInt64(value).littleEndian, body) }
        func add(_ label: String, _ bytes: [UInt8]) {
            bytes.withUnsafeBytes { add(label, [$0]) }
        }
        func add(_ label: String, _ pieces: [UnsafeRawBufferPointer]) {
            // Lengths precede contents, so different lists of parts never give the same bytes.
            let name = Array(label.utf8)
            number(name.count)
            name.withUnsafeBytes(body)
            number(pieces.reduce(0) { $0 + $1.count })
            pieces.forEach(body)
        }
        add("format", Array("longtake checkpoint identity 1".utf8))
        let folders = [weights] + (towerWeights.map { [$0] } ?? [])
        // A small model is included completely; a large one would be read from end to end at every start.
        let isSmall = folders.reduce(0) { $0 + $1.dataBytes } <= 64 << 20
        add("tower source", Array((towerSource?.rawValue ?? "none").utf8))
        add("config.json", configBytes)
        add("tower/config.json", towerConfigBytes ?? [])
        add("preprocessor_config.json", preprocessorConfigBytes ?? [])
        if let adapterConfigBytes { add("adapter_config.json", adapterConfigBytes) }
        for (folder, label) in [(Optional(weights), ""), (towerWeights, "tower/")] {
            for (name, file) in folder?.files ?? [] {
                add(label + name, file.sample(edge: 64 << 10, perTensor: isSmall ? Int.max : 1024))
                number(file.fileBytes)
            }
        }
    }
}
