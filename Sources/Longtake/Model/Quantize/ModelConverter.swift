package import Checkpoints
internal import Foundation

/// Writes a copy of a model folder with its weights in safetensors, tensor by tensor, as they are.
package struct ModelConverter {
    /// The folder to read.
    package let source: CheckpointFolder
    private let folders: [FolderWeights]

    /// Opens the folder `path` and checks it.
    ///
    /// - Throws: `CheckpointError` or `WeightsError` for a folder that is not a valid checkpoint.
    package init(path: String) throws {
        let source = try CheckpointFolder(path: path)
        try source.validate()
        self.source = source
        folders = FolderWeights.folders(of: source) { _ in nil }
    }

    /// Writes the folder to `out`, which is named `<out>.partial` until it is complete.
    ///
    /// - Parameters:
    ///   - free: bytes free on the disk; nil reads them.
    ///   - progress: gets bytes read and to read, every few megabytes; an error it throws ends the writing.
    /// - Throws: `CheckpointError` `folder_not_empty`, `not_enough_disk` or `write_failed`, `WeightsError`; then leaves
    ///   no files.
    package func write(
        to out: String, free: Int64? = nil, progress: (_ done: Int64, _ total: Int64) throws -> Void = { _, _ in }
    ) throws -> ConversionReport {
        try FolderCopy(source: source).write(to: out) { partial in
            let files = try FolderFiles(of: source)
            let bytes = folders.reduce(0) { $0 + $1.bytes }
            try FolderCopy.checkSpace(bytes + files.bytes, for: out, in: partial, free: free)
            var done: Int64 = 0
            for folder in folders {
                let isWhole = folder.target.isEmpty
                try partial.write(
                    folder.targetPath("config.json"),
                    isWhole && files.hasTower
                        ? FolderCopy.config(
                            folder.config, setting: ["mm_vision_tower": .string(FolderFiles.towerName)])
                        : String(decoding: folder.config, as: UTF8.self))
                try folder.write(to: partial.path, nil) { read in
                    done += Int64(read)
                    try progress(done, bytes)
                }
            }
            try files.copy(to: partial.path)
            return ConversionReport(
                path: out, bytes: bytes,
                tensors: folders.reduce(0) { $0 + $1.weights.files.reduce(0) { $0 + $1.file.tensors.count } },
                files: folders.reduce(0) { $0 + $1.weights.files.count })
        }
    }
}

/// The result of converting a model folder to safetensors.
package struct ConversionReport: Sendable, Encodable {
    /// The folder that was written.
    package let path: String
    /// Bytes of tensor data.
    package let bytes: Int64
    /// Number of tensors.
    package let tensors: Int
    /// Number of weight files.
    package let files: Int
}
