/// The opcodes of pickle protocols 0 to 5 by name; only those that build data are read.
///
/// Source: Python's pickletools.
enum PickleOpcode: UInt8, CaseIterable {
    case mark = 0x28
    case emptyTuple = 0x29
    case stop = 0x2e
    case pop = 0x30
    case popMark = 0x31
    case duplicate = 0x32
    case binaryBytes = 0x42
    case shortBytes = 0x43
    case binaryFloat = 0x47
    case binaryInteger = 0x4a
    case binaryInteger1 = 0x4b
    case binaryInteger2 = 0x4d
    case none = 0x4e
    case binaryPersistentID = 0x51
    case reduce = 0x52
    case binaryText = 0x58
    case emptyList = 0x5d
    case append = 0x61
    case build = 0x62
    case global = 0x63
    case dictionary = 0x64
    case appends = 0x65
    case binaryGet = 0x68
    case longBinaryGet = 0x6a
    case list = 0x6c
    case binaryPut = 0x71
    case longBinaryPut = 0x72
    case setItem = 0x73
    case tuple = 0x74
    case setItems = 0x75
    case emptyDictionary = 0x7d
    case protocolVersion = 0x80
    case tuple1 = 0x85
    case tuple2 = 0x86
    case tuple3 = 0x87
    case newTrue = 0x88
    case newFalse = 0x89
    case long1 = 0x8a
    case long4 = 0x8b
    case shortText = 0x8c
    case binaryText8 = 0x8d
    case binaryBytes8 = 0x8e
    case emptySet = 0x8f
    case addItems = 0x90
    case frozenSet = 0x91
    case stackGlobal = 0x93
    case memoize = 0x94
    case frame = 0x95
    case byteArray8 = 0x96

    /// The name of a byte that is no opcode of this list, for messages: "INST", or "0xff".
    static func name(of byte: UInt8) -> String {
        refused[byte] ?? "0x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    /// The opcodes that are refused: those that call or import something else, and the text forms of protocol 0, which
    /// torch.save does not write.
    static let refused: [UInt8: String] = [
        0x46: "FLOAT", 0x49: "INT", 0x4c: "LONG", 0x50: "PERSID", 0x53: "STRING", 0x54: "BINSTRING",
        0x55: "SHORT_BINSTRING", 0x56: "UNICODE", 0x67: "GET", 0x69: "INST", 0x6f: "OBJ", 0x70: "PUT", 0x81: "NEWOBJ",
        0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x92: "NEWOBJ_EX", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
    ]
}
