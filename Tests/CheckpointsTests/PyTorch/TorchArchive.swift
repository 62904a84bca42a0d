import Foundation

/// A pickle written opcode by opcode.
struct Pickle {
    var bytes: [UInt8] = [0x80, 2]

    init(_ write: (inout Pickle) -> Void) { write(&self) }

    /// Opcodes by their characters, for example `(` for MARK.
    mutating func code(_ text: String) { bytes += Array(text.utf8) }
    mutating func raw(_ more: UInt8...) { bytes += more }
    mutating func little(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes += Array($0) }
    }
    mutating func text(_ text: String) {
        code("X")
        little(UInt32(text.utf8.count))
        code(text)
    }
    mutating func global(_ module: String, _ name: String) { code("c\(module)\n\(name)\n") }
    mutating func stackGlobal(_ module: String, _ name: String) {
        text(module)
        text(name)
        raw(0x93)
    }
    /// LONG1 of 8 bytes.
    mutating func integer(_ value: Int) {
        raw(0x8a, 8)
        little(Int64(value))
    }
    mutating func tuple(_ values: [Int]) {
        code("(")
        for value in values { integer(value) }
        code("t")
    }
    mutating func storage(_ key: String = "0", _ type: String = "FloatStorage", count: Int = 2) {
        code("(")
        text("storage")
        global("torch", type)
        text(key)
        text("cpu")
        integer(count)
        code("tQ")
    }
    /// A call of `_rebuild_tensor_v2`.
    mutating func tensor(
        shape: [Int] = [2], strides: [Int] = [1], offset: Int = 0, count: Int = 2, type: String = "FloatStorage"
    ) {
        global("torch._utils", "_rebuild_tensor_v2")
        code("(")
        storage("0", type, count: count)
        integer(offset)
        tuple(shape)
        tuple(strides)
        raw(0x89)
        global("collections", "OrderedDict")
        code(")RtR")
    }

    /// A state dict with the tensor `a` of two f32; `extra` is written before the last opcode.
    static func good(_ extra: (inout Pickle) -> Void = { _ in }) -> Pickle {
        Pickle { pickle in
            pickle.code("}(")
            pickle.text("a")
            pickle.tensor()
            pickle.code("u")
            extra(&pickle)
            pickle.code(".")
        }
    }

    /// A state dict whose tensor `a` is what `write` leaves on the stack.
    static func member(_ write: (inout Pickle) -> Void) -> Pickle {
        Pickle { pickle in
            pickle.code("}")
            pickle.text("a")
            write(&pickle)
            pickle.code("s.")
        }
    }
}

/// A zip archive as torch.save writes it, with every field open to lies.
struct TorchArchive {
    struct Entry {
        var name: String
        var data: [UInt8]
        var nameBytes: [UInt8]?
        var method: UInt16 = 0
        var flags: UInt16 = 0
        var crc: UInt32?
        /// In the central directory; nil: true.
        var size: UInt32?
        var packed: UInt32?
        var header: UInt32?
        var extra: [UInt8] = []
        var disk: UInt16 = 0
        /// In the local header; nil: as in the directory.
        var localName: String?
        var localSize: UInt32?
        var localMethod: UInt16?
        var localExtra: [UInt8] = []
    }

    var entries: [Entry]
    var count: UInt16?
    var directorySize: UInt32?
    var directoryOffset: UInt32?
    var comment: [UInt8] = []
    /// Count, size and offset of a zip64 record; its own size and its place are true unless given.
    var zip64: (count: UInt64, size: UInt64, offset: UInt64)?
    var zip64Size: UInt64 = 44
    var zip64Place: UInt64?

    /// The archive of a pickle and the storage 0 of 1.0 and 2.0.
    init(_ pickle: Pickle = .good(), storage: [UInt8] = TorchArchive.storage) {
        entries = [
            Entry(name: "a/data.pkl", data: pickle.bytes), Entry(name: "a/byteorder", data: Array("little".utf8)),
            Entry(name: "a/data/0", data: storage), Entry(name: "a/version", data: Array("3\n".utf8)),
        ]
    }

    /// 1.0 and 2.0.
    static let storage: [UInt8] = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]

    func with(_ change: (inout TorchArchive) -> Void) -> TorchArchive {
        var changed = self
        change(&changed)
        return changed
    }

    var data: Data {
        var file = Pickle { _ in }
        file.bytes = []
        var directory = file
        for entry in entries {
            let start = UInt32(file.bytes.count)
            let name = entry.nameBytes ?? Array(entry.name.utf8)
            let localName = entry.localName.map { Array($0.utf8) } ?? name
            let size = entry.size ?? UInt32(entry.data.count)
            let crc = entry.crc ?? Self.crc(entry.data)
            file.little(UInt32(0x0403_4b50))
            for value in [20, entry.flags, entry.localMethod ?? entry.method, 0, 0] { file.little(value) }
            for value in [crc, entry.localSize ?? size, entry.localSize ?? size] { file.little(value) }
            file.little(UInt16(localName.count))
            file.little(UInt16(entry.localExtra.count))
            file.bytes += localName + entry.localExtra + entry.data
            directory.little(UInt32(0x0201_4b50))
            for value in [20, 20, entry.flags, entry.method, 0, 0] as [UInt16] { directory.little(value) }
            for value in [crc, entry.packed ?? size, size] { directory.little(value) }
            for value in [UInt16(name.count), UInt16(entry.extra.count), 0, entry.disk, 0] { directory.little(value) }
            directory.little(UInt32(0))
            directory.little(entry.header ?? start)
            directory.bytes += name + entry.extra
        }
        let offset = UInt32(file.bytes.count), size = UInt32(directory.bytes.count)
        file.bytes += directory.bytes
        if let zip64 {
            let place = UInt64(file.bytes.count)
            file.little(UInt32(0x0606_4b50))
            file.little(zip64Size)
            for value in [45, 45] as [UInt16] { file.little(value) }
            for value in [0, 0] as [UInt32] { file.little(value) }
            for value in [zip64.count, zip64.count, zip64.size, zip64.offset] { file.little(value) }
            file.little(UInt32(0x0706_4b50))
            file.little(UInt32(0))
            file.little(zip64Place ?? place)
            file.little(UInt32(1))
        }
        file.little(UInt32(0x0605_4b50))
        let entryCount = count ?? UInt16(entries.count)
        for value in [0, 0, entryCount, entryCount] { file.little(value) }
        file.little(directorySize ?? size)
        file.little(directoryOffset ?? offset)
        file.little(UInt16(comment.count))
        file.bytes += comment
        return Data(file.bytes)
    }

    /// A zip64 extra field of 64-bit values.
    static func zip64Extra(_ values: UInt64...) -> [UInt8] {
        var field = Pickle { _ in }
        field.bytes = []
        field.little(UInt16(1))
        field.little(UInt16(8 * values.count))
        for value in values { field.little(value) }
        return field.bytes
    }

    private static let crcTable: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }

    private static func crc(_ data: [UInt8]) -> UInt32 {
        var crc = ~UInt32(0)
        crcTable.withUnsafeBufferPointer { table in
            for byte in data { crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] }
        }
        return ~crc
    }
}
