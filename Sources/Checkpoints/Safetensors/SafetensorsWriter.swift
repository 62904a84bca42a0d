import Glibc
import SystemCalls
public import Tensors

/// Writes a safetensors file of any size in one pass: the header, then the tensors' bytes in the declared order.
///
/// The file gets its name only when `finish()` has synced it; a writer that failed or was released leaves no file.
public final class SafetensorsWriter {
    /// The name, element type and shape of a tensor to write.
    public struct Entry: Sendable, Equatable {
        /// The tensor's name, at most 1024 bytes.
        public let name: String
        /// The type of its elements.
        public let type: DType
        /// Its dimensions, at most 8; empty for a scalar.
        public let shape: [Int]
        /// An entry of the header.
        public init(name: String, type: DType, shape: [Int]) {
            self.name = name
            self.type = type
            self.shape = shape
        }
    }

    /// The path of the finished file.
    public let path: String
    /// Bytes of tensor data that the entries declare.
    public let dataBytes: Int
    /// Bytes of tensor data written so far.
    public private(set) var written = 0
    private let temporary: String
    private var descriptor: Int32
    private var failed = false

    /// Creates a temporary file in the target folder and writes the header; throws `write_misuse` or `write_failed`.
    public init(path: String, entries: [Entry], metadata: [String: String] = [:]) throws {
        self.path = path
        var header = "{"
        if !metadata.isEmpty {
            header += "\"__metadata__\":" + JSONValue.object(metadata.mapValues { .string($0) }).text()
        }
        var total = 0
        var seen: Set<String> = ["__metadata__"]
        for entry in entries {
            guard seen.insert(entry.name).inserted, entry.name.utf8.count <= SafetensorsHeader.nameLimit,
                entry.shape.count <= SafetensorsHeader.rankLimit,
                let bytes = SafetensorsHeader.byteCount(shape: entry.shape, type: entry.type)
            else {
                throw WeightsError.writeMisuse(
                    path,
                    "the tensor \(entry.name) cannot be stored: its name is too long or used twice, its rank above \(SafetensorsHeader.rankLimit), or its size too large"
                )
            }
            let (end, overflow) = total.addingReportingOverflow(bytes)
            guard !overflow else { throw WeightsError.writeMisuse(path, "the tensors are too large for one file") }
            if header.utf8.count > 1 { header += "," }
            header += JSONValue.quoted(entry.name) + ":{\"dtype\":\"\(entry.type.safetensorsName)\",\"shape\":["
            header += entry.shape.map(String.init).joined(separator: ",")
            header += "],\"data_offsets\":[\(total),\(end)]}"
            total = end
        }
        header += "}"
        // Padding aligns the data to 8 bytes in a mapping.
        while header.utf8.count % 8 != 0 { header += " " }
        dataBytes = total
        temporary = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max)).incomplete"
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw WeightsError.writeFailed(path, "creating it", systemText(errno)) }
        var length = UInt64(header.utf8.count).littleEndian
        try withUnsafeBytes(of: &length) { try put($0) }
        try Array(header.utf8).withUnsafeBytes { try put($0) }
    }

    deinit { abandon() }

    /// Appends tensor bytes, which need not end at tensor boundaries; a writer that failed stays failed.
    ///
    /// Throws `write_misuse` for more bytes than declared, or `write_failed`.
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard bytes.count <= dataBytes - written else {
            throw WeightsError.writeMisuse(path, "more than the declared \(dataBytes) bytes were written")
        }
        try put(bytes)
        written += bytes.count
    }

    /// Syncs the file, renames it and syncs the folder.
    ///
    /// Throws `write_misuse` if bytes are missing, or `write_failed`.
    public func finish() throws {
        guard !failed, descriptor >= 0 else {
            throw WeightsError.writeMisuse(path, "the writer has failed or has finished")
        }
        guard written == dataBytes else {
            throw WeightsError.writeMisuse(path, "\(written) of the declared \(dataBytes) bytes were written")
        }
        guard fsync(descriptor) == 0 else { throw fail("fsync") }
        let closed = close(descriptor)
        descriptor = -1
        guard closed == 0, rename(temporary, path) == 0 else {
            let error = fail("rename")
            unlink(temporary)
            throw error
        }
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { String(path[..<$0]) } ?? "."
        let parent = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard parent >= 0 else { throw fail("opening its folder") }
        defer { close(parent) }
        guard fsync(parent) == 0 else { throw fail("fsync of its folder") }
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws {
        guard !failed, descriptor >= 0 else {
            throw WeightsError.writeMisuse(path, "the writer has failed or has finished")
        }
        do {
            try SystemCall.writeAll(descriptor, bytes)
        } catch {
            throw fail("write", error)
        }
    }

    private func fail(_ step: String, _ error: SystemError = .last) -> WeightsError {
        failed = true
        return .writeFailed(path, step, "\(error)")
    }

    private func abandon() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        descriptor = -1
        unlink(temporary)
    }
}
