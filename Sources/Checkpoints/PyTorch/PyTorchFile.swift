public import Tensors

/// A file of weights in the zip form of `torch.save`, mapped read-only; its tensors point into the mapping.
///
/// Nothing is run: `PickleReader` can only build tensors and dictionaries. Nothing is copied but a view whose elements
/// are not in order, when it is used. Source: PyTorch's torch/serialization.py and caffe2/serialize/inline_container.h.
public final class PyTorchFile: WeightsFile {
    /// The file's path as given.
    public let path: String
    /// The tensors by name.
    public let tensors: [String: StoredTensor]
    /// Tensor names in the order of their data.
    public let names: [String]
    /// Bytes of all tensors; data that two of them share counts twice.
    public let dataBytes: Int
    private let file: MappedFile
    /// The pickle and the storages, in the order of the file.
    private let pickle: Range<Int>
    private let storages: [Range<Int>]

    /// Size of the file in bytes.
    public var fileBytes: Int { file.bytes.count }

    /// Maps and validates the file at `path`; throws `WeightsError`.
    public init(path: String) throws {
        let file = try MappedFile(path: path)
        try Self.checkFormat(file)
        let archive = try ZipDirectory(file)
        let root = try Self.root(of: archive, path: path)
        let entries = Dictionary(uniqueKeysWithValues: archive.entries.map { ($0.name, $0) })
        if let order = entries[root + "byteorder"] {
            let text = try file.copy(from: order.range.lowerBound, count: min(order.range.count, 16))
            guard text == Array("little".utf8) else {
                throw WeightsError.pytorchUnsupported(path, "its byte order is not little-endian")
            }
        }
        guard let entry = entries[root + "data.pkl"] else { throw WeightsError.archiveInvalid(path, Self.noPickle) }
        guard entry.range.count <= PickleReader.byteLimit else {
            throw WeightsError(
                .tooLarge,
                "\(path): its pickle is \(entry.range.count) bytes, the limit is \(PickleReader.byteLimit)")
        }
        let pickle = try file.copy(from: entry.range.lowerBound, count: entry.range.count)
        guard CRC32.of(pickle) == entry.crc else {
            throw WeightsError.pickleInvalid(path, "its checksum differs")
        }
        var reader = PickleReader(pickle, file: path)
        let value = try reader.read()
        try file.checkUnchanged()
        let found = try StateDictionary(value, reader, path: path)

        var tensors: [String: StoredTensor] = [:]
        tensors.reserveCapacity(found.members.count)
        var order: [(name: String, begin: Int)] = []
        var (dataBytes, copiedBytes) = (0, 0)
        for (name, index) in found.members {
            let described = reader.tensors[index]
            let storage = reader.storages[described.storage]
            func invalid(_ what: String) -> WeightsError { .entryInvalid(path, name, what) }
            guard let stored = entries[root + "data/" + storage.key] else {
                throw invalid("its storage \(WeightsError.quoted(storage.key)) is not in the file")
            }
            let (bytes, overflow) = storage.count.multipliedReportingOverflow(by: storage.type?.size ?? 1)
            guard !overflow, bytes == stored.range.count else {
                throw invalid(
                    "its storage has \(counted(stored.range.count, "byte")), the pickle says \(storage.count) elements")
            }
            let layout: TensorLayout
            do throws(TensorLayout.Fault) {
                layout = try TensorLayout(described, storageBytes: bytes)
            } catch {
                throw invalid(error.what)
            }
            let sum = dataBytes.addingReportingOverflow(layout.byteCount)
            guard !sum.overflow else { throw invalid("the tensors together are too large") }
            dataBytes = sum.partialValue
            if !layout.isContiguous { copiedBytes += layout.byteCount }
            guard copiedBytes <= file.bytes.count else {
                throw WeightsError(
                    .tooLarge,
                    "\(path): its views with strides take more than the \(file.bytes.count) bytes of the file, up to "
                        + "tensor \(WeightsError.quoted(name))")
            }
            order.append((name, stored.range.lowerBound + layout.offset))
            let start = stored.range.lowerBound + layout.offset
            tensors[name] = try Self.tensor(name, described.type, layout, at: start, in: file)
        }
        self.path = path
        self.file = file
        self.tensors = tensors
        names = order.sorted { ($0.begin, $0.name) < ($1.begin, $1.name) }.map(\.name)
        self.dataBytes = dataBytes
        self.pickle = entry.range
        storages = archive.entries.filter { $0.name.hasPrefix(root + "data/") }.map(\.range)
    }

    /// Throws `file_changed` if the file's size changed since it was opened: touching a lost page would end the
    /// process.
    public func checkUnchanged() throws { try file.checkUnchanged() }

    /// Bytes that cheaply distinguish this file from others: the pickle, both ends and the beginning of each storage.
    public func sample(edge: Int, perTensor: Int) -> [UnsafeRawBufferPointer] {
        let bytes = file.bytes
        return ([bytes[pickle], bytes.prefix(edge), bytes.suffix(edge)] + storages.map { bytes[$0].prefix(perTensor) })
            .map { UnsafeRawBufferPointer(rebasing: $0) }
    }

    private static let noPickle = "has no pickle (data.pkl): it is not a file of torch.save"

    /// Tells the older forms of `torch.save` and other files from a zip archive.
    private static func checkFormat(_ file: MappedFile) throws {
        let start = try file.copy(from: 0, count: min(512, file.bytes.count))
        if start.starts(with: Array("PK\u{3}\u{4}".utf8)) || start.starts(with: Array("PK\u{5}\u{6}".utf8)) { return }
        // Before 1.6 a file began with the pickled number 0x1950a86a20f9469cfc6c, and before 0.1.10 it was a tar.
        if start.first == 0x80 || start.dropFirst(257).starts(with: "ustar".utf8) {
            throw WeightsError.pytorchLegacy(file.path)
        }
        throw WeightsError.archiveInvalid(
            file.path, "is not a file of torch.save, which begins with PK like every zip archive; fetch it again")
    }

    /// The folder in the archive, with its slash; torch.save names it after the file.
    private static func root(of archive: ZipDirectory, path: String) throws -> String {
        let suffix = "/data.pkl"
        let roots = archive.entries.filter {
            $0.name.hasSuffix(suffix) && !$0.name.dropLast(suffix.count).contains("/") && $0.name.count > suffix.count
        }.map { $0.name.dropLast(suffix.count) + "/" }
        guard let root = roots.first, roots.count == 1 else {
            throw WeightsError.archiveInvalid(path, roots.isEmpty ? noPickle : "has \(roots.count) pickles (data.pkl)")
        }
        let folder = String(root)
        if archive.entries.contains(where: {
            $0.name == folder + "constants.pkl" || $0.name.hasPrefix(folder + "code/")
        }) {
            throw WeightsError.pytorchUnsupported(
                path, "is a TorchScript program; save the model's state_dict with torch.save instead")
        }
        return folder
    }

    private static func tensor(
        _ name: String, _ type: DType, _ layout: TensorLayout, at start: Int, in file: MappedFile
    ) throws -> StoredTensor {
        if layout.isContiguous {
            let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + layout.byteCount])
            return StoredTensor(name: name, type: type, shape: layout.shape, bytes: bytes, owner: file)
        }
        guard let base = file.bytes.baseAddress else { throw WeightsError.fileTooShort(file.path, bytes: 0) }
        let view = StridedView(
            start: base + start, elementSize: type.size, shape: layout.shape, strides: layout.strides, owner: file)
        return StoredTensor(name: name, type: type, view: view)
    }
}

/// The tensors of a state dict by name, in its order.
private struct StateDictionary {
    let members: [(name: String, tensor: Int)]

    init(_ value: PickleReader.Value, _ reader: PickleReader, path: String) throws {
        let kinds: [PickleReader.Container.Kind] = [.dictionary, .orderedDictionary]
        guard case .container(let index) = value, kinds.contains(reader.containers[index].kind) else {
            throw WeightsError.pytorchUnsupported(
                path, "holds no dictionary of tensors; save the model's state_dict with torch.save")
        }
        let items = reader.containers[index].items
        guard items.count / 2 <= SafetensorsHeader.tensorLimit else {
            throw WeightsError.tooManyTensors(path, count: items.count / 2, limit: SafetensorsHeader.tensorLimit)
        }
        var members: [(name: String, tensor: Int)] = []
        members.reserveCapacity(items.count / 2)
        var seen: Set<String> = []
        for position in stride(from: 0, to: items.count, by: 2) {
            guard case .text(let name) = items[position] else {
                throw WeightsError.pickleInvalid(path, "a tensor's name is not a string")
            }
            guard name.utf8.count <= SafetensorsHeader.nameLimit else {
                throw WeightsError.nameTooLong(path, bytes: name.utf8.count, limit: SafetensorsHeader.nameLimit)
            }
            guard case .tensor(let tensor) = items[position + 1] else {
                throw WeightsError.pytorchUnsupported(
                    path,
                    "\(WeightsError.quoted(name)) is not a tensor: it is a training checkpoint or another object; save "
                        + "the model's state_dict with torch.save")
            }
            guard seen.insert(name).inserted else {
                throw WeightsError(.duplicateKey, "\(path): has the tensor \(WeightsError.quoted(name)) twice")
            }
            members.append((name, tensor))
        }
        self.members = members
    }
}

/// A tensor's place in its storage, checked against the storage's size.
private struct TensorLayout {
    struct Fault: Error {
        let what: String
    }

    let shape: [Int]
    /// In elements; 0 for dimensions of one element.
    let strides: [Int]
    /// In bytes from the beginning of the storage.
    let offset: Int
    let byteCount: Int
    let isContiguous: Bool

    init(_ tensor: PickleReader.Tensor, storageBytes: Int) throws(Fault) {
        guard let byteCount = SafetensorsHeader.byteCount(shape: tensor.shape, type: tensor.type) else {
            throw Fault(what: "its shape has more bytes than a 64-bit size can count")
        }
        shape = tensor.shape
        self.byteCount = byteCount
        if byteCount == 0 {
            // Where nothing is nothing is read; PyTorch allows any offset.
            (strides, offset, isContiguous) = (tensor.strides, 0, true)
            return
        }
        let elements = storageBytes / tensor.type.size
        // The last element.
        var last = tensor.offset
        var strides: [Int] = []
        for (size, stride) in zip(tensor.shape, tensor.strides) {
            let (length, overflow) = (size - 1).multipliedReportingOverflow(by: size == 1 ? 0 : stride)
            let (end, overflowToo) = last.addingReportingOverflow(length)
            guard !overflow, !overflowToo else { throw Fault(what: "its strides lead out of its storage") }
            last = end
            strides.append(size == 1 ? 0 : stride)
        }
        guard last < elements else {
            throw Fault(
                what: "its last element is number \(last) of a storage of \(counted(elements, "element"))")
        }
        var next = 1
        var isContiguous = true
        for (size, stride) in zip(tensor.shape, strides).reversed() where size != 1 {
            if stride != next { isContiguous = false }
            next *= size
        }
        self.strides = strides
        self.isContiguous = isContiguous
        offset = tensor.offset * tensor.type.size
    }
}
