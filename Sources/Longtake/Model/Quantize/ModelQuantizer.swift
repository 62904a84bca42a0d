package import Checkpoints
internal import Foundation
package import Tensors

/// Writes a copy of a model folder with quantized matrices.
///
/// The weights are read twice, tensor by tensor and in pieces of a few megabytes: first to measure the error of each
/// matrix, which decides what stays in floating point, then to write. The bytes written do not depend on the number of
/// threads or the instruction set.
package struct ModelQuantizer {
    /// The folder to read.
    package let source: CheckpointFolder
    /// The format of the frame path's matrices; nil keeps them.
    package let vision: WeightFormat?
    /// The format of the language model's matrices; nil keeps them.
    package let language: WeightFormat?
    private let folders: [FolderWeights]
    private let rows: RowQuantizer

    /// Opens the folder `path` and checks it.
    ///
    /// - Throws: `CheckpointError` or `WeightsError` for a folder that is not a valid checkpoint; `unsupported` if it is
    ///   quantized; `LongtakeError` `bad_request` if nothing would be quantized.
    package init(path: String, vision: WeightFormat?, language: WeightFormat?, threads: Int) throws {
        let source = try CheckpointFolder(path: path)
        try source.validate()
        guard !source.isQuantized else { throw CheckpointError.alreadyQuantized(path) }
        let folders = FolderWeights.folders(of: source) { $0 == .language ? language : vision }
        guard folders.contains(where: { !$0.formats.isEmpty }) else {
            throw LongtakeError(
                code: .badRequest,
                message: "\(path): nothing to quantize: all of its matrices would be kept as they are")
        }
        self.source = source
        self.vision = vision
        self.language = language
        self.folders = folders
        rows = try RowQuantizer(threads: threads)
    }

    /// Bytes of tensor data that are read twice.
    private var sourceBytes: Int64 { folders.reduce(0) { $0 + Int64($1.weights.dataBytes) } }

    /// Writes the quantized folder to `out`, which is named `<out>.partial` until it is complete.
    ///
    /// - Parameters:
    ///   - free: bytes free on the disk; nil reads them.
    ///   - progress: gets bytes read and to read, every few megabytes; an error it throws ends the writing.
    /// - Throws: `CheckpointError` `folder_not_empty`, `not_enough_disk` or `write_failed`, `WeightsError`; then leaves
    ///   no files.
    package func write(
        to out: String, free: Int64? = nil, progress: (_ done: Int64, _ total: Int64) throws -> Void = { _, _ in }
    ) throws -> QuantizationReport {
        try FolderCopy(source: source).write(to: out) { partial in
            try write(into: partial, named: out, free: free, progress: progress)
        }
    }

    private func write(
        into partial: PartialFolder, named out: String, free: Int64?, progress: (Int64, Int64) throws -> Void
    ) throws -> QuantizationReport {
        let files = try FolderFiles(of: source)
        func checkSpace(_ data: Int64) throws {
            try FolderCopy.checkSpace(data + files.bytes, for: out, in: partial, free: free)
        }
        // What stays in floating point is known only after reading everything; it is larger.
        try checkSpace(folders.reduce(0) { $0 + $1.bytes })
        var done: Int64 = 0
        let total = 2 * sourceBytes
        func advance(_ bytes: Int) throws {
            done += Int64(bytes)
            try progress(done, total)
        }
        let measured = try folders.map { try $0.measure(rows, read: advance) }
        let written = zip(folders, measured).map { folder, matrices in
            folder.with(
                formats: matrices.reduce(into: [:]) { formats, matrix in
                    if let format = matrix.format { formats[matrix.name] = format }
                })
        }
        let bytes = written.reduce(0) { $0 + $1.bytes }
        try checkSpace(bytes)
        let matrices = measured.flatMap { $0 }
        let kept = matrices.filter { $0.format == nil }.map(\.name)
        for (folder, own) in zip(written, measured) {
            let isWhole = folder.target.isEmpty
            let config = QuantizationConfig(
                vision: vision, language: isWhole ? language : nil,
                kept: isWhole ? kept : own.filter { $0.format == nil }.map(\.name))
            var values = ["quantization_config": config.json]
            if isWhole, files.hasTower { values["mm_vision_tower"] = .string(FolderFiles.towerName) }
            try partial.write(
                folder.targetPath("config.json"), try FolderCopy.config(folder.config, setting: values))
            try folder.write(to: partial.path, rows, read: advance)
        }
        try files.copy(to: partial.path)
        return QuantizationReport(
            path: out, vision: vision?.rawValue ?? QuantizationConfig.keep,
            language: language?.rawValue ?? QuantizationConfig.keep, bytes: bytes, sourceBytes: sourceBytes,
            matrices: matrices)
    }
}

/// What to quantize, by the names of the command line.
package struct QuantizationChoice: Sendable {
    /// The accepted values for the frame path.
    package static let vision = [WeightFormat.int8.rawValue, QuantizationConfig.keep]
    /// The accepted values for the language model.
    package static let language = [WeightFormat.int8, .int4].map(\.rawValue) + [QuantizationConfig.keep]

    private let vision: WeightFormat?
    private let language: WeightFormat?

    /// Parses the two choices; throws `LongtakeError` `bad_request` naming the known values.
    package init(vision: String, language: String) throws {
        func parse(_ text: String, _ known: [String]) throws -> WeightFormat? {
            guard known.contains(text) else {
                throw LongtakeError(
                    code: .badRequest, message: "unknown format \(text); known: \(known.joined(separator: ", "))")
            }
            return WeightFormat(rawValue: text)
        }
        self.vision = try parse(vision, Self.vision)
        self.language = try parse(language, Self.language)
    }

    /// Quantizes the folder `path` to `out`; `progress` gets bytes read and to read.
    package func quantize(
        _ path: String, to out: String, threads: Int, progress: (Int64, Int64) throws -> Void
    ) throws -> QuantizationReport {
        try ModelQuantizer(path: path, vision: vision, language: language, threads: threads).write(
            to: out, progress: progress)
    }
}
