internal import Tensors

/// Interprets the pickle of a file of weights; it can build tensors, tuples, lists and dictionaries, and nothing else.
///
/// Containers are numbered, not nested, so depth and cycles cost nothing. Time and memory grow with the pickle's
/// length, which is limited; no opcode makes more than it reads.
struct PickleReader {
    /// A value on the stack or in a container.
    enum Value {
        case none
        case bool(Bool)
        case integer(Int)
        case number(Double)
        case text(String)
        case bytes
        /// An index in `containers`.
        case container(Int)
        case global(PickleGlobal)
        /// An index in `storages`.
        case storage(Int)
        /// An index in `tensors`.
        case tensor(Int)
    }

    /// A tuple, list, set or dictionary; the items of a dictionary are keys and values in turn.
    struct Container {
        enum Kind { case tuple, list, set, dictionary, orderedDictionary }
        let kind: Kind
        var items: [Value]
    }

    /// A storage as the pickle describes it; not yet compared with the archive.
    struct Storage {
        /// The name of the entry below `data/`.
        let key: String
        /// The type of its elements; nil for bytes.
        let type: DType?
        /// Number of elements.
        let count: Int
    }

    /// A tensor as the pickle describes it; not yet compared with its storage.
    struct Tensor {
        /// An index in `storages`.
        let storage: Int
        let type: DType
        /// In elements.
        let offset: Int
        let shape: [Int]
        /// In elements.
        let strides: [Int]
    }

    /// Largest pickle in bytes; that of 100,000 tensors is about 30 MB.
    static let byteLimit = 64 << 20
    private static let stackLimit = 1 << 20
    private static let containerLimit = 1 << 20
    private static let itemLimit = 4 << 20
    private static let memoLimit = 1 << 21
    private static let tensorLimit = 2 * SafetensorsHeader.tensorLimit

    private(set) var containers: [Container] = []
    private(set) var storages: [Storage] = []
    private(set) var tensors: [Tensor] = []
    private var itemCount = 0
    private var stack: [Value] = []
    /// Heights of the stack at its marks.
    private var marks: [Int] = []
    private var memo: [Value] = []
    private var input: LittleEndianReader
    private let file: String
    /// Offset of the current opcode.
    private var position = 0

    /// - Parameter file: the path for messages.
    init(_ pickle: [UInt8], file: String) {
        input = LittleEndianReader(pickle)
        self.file = file
    }

    /// Runs the pickle and returns its value.
    ///
    /// - Throws: `WeightsError` `pickle_refused` for an opcode or a name that is not on the list, `pickle_invalid`,
    ///   `too_large` for one of the limits.
    mutating func read() throws -> Value {
        while true {
            position = input.offset
            guard let byte = input.u8() else { throw invalid("it ends without STOP") }
            guard let opcode = PickleOpcode(rawValue: byte) else {
                throw refused("the opcode \(PickleOpcode.name(of: byte))")
            }
            if opcode == .stop {
                let value = try pop()
                guard stack.isEmpty, marks.isEmpty else { throw invalid("STOP leaves values on the stack") }
                guard input.left == 0 else { throw invalid("\(counted(input.left, "byte")) follow STOP") }
                return value
            }
            try run(opcode)
            guard stack.count <= Self.stackLimit, marks.count <= Self.stackLimit else {
                throw tooLarge("more than \(Self.stackLimit) values on its stack")
            }
        }
    }

    private mutating func run(_ opcode: PickleOpcode) throws {
        switch opcode {
        case .stop: break
        case .protocolVersion:
            guard let version = input.u8() else { throw cut() }
            guard version <= 5 else { throw refused("protocol \(version)") }
        case .frame: guard let length = input.u64(), length <= UInt64(input.left) else { throw cut() }
        case .none: stack.append(.none)
        case .newTrue: stack.append(.bool(true))
        case .newFalse: stack.append(.bool(false))
        case .binaryInteger1: stack.append(.integer(Int(try number(input.u8()))))
        case .binaryInteger2: stack.append(.integer(Int(try number(input.u16()))))
        case .binaryInteger: stack.append(.integer(Int(Int32(bitPattern: try number(input.u32())))))
        case .long1: try long(Int(try number(input.u8())))
        case .long4: try long(Int(try number(input.u32())))
        case .binaryFloat: stack.append(.number(Double(bitPattern: try number(input.u64()).byteSwapped)))
        case .shortText: try text(UInt64(try number(input.u8())))
        case .binaryText: try text(UInt64(try number(input.u32())))
        case .binaryText8: try text(try number(input.u64()))
        case .shortBytes: try bytes(UInt64(try number(input.u8())))
        case .binaryBytes: try bytes(UInt64(try number(input.u32())))
        case .binaryBytes8, .byteArray8: try bytes(try number(input.u64()))
        case .pop: try popOrMark()
        case .popMark: _ = try popToMark()
        case .duplicate: stack.append(try top())
        case .mark: marks.append(stack.count)
        case .binaryPut: try put(Int(try number(input.u8())))
        case .longBinaryPut: try put(Int(try number(input.u32())))
        case .memoize: try put(memo.count)
        case .binaryGet: try get(Int(try number(input.u8())))
        case .longBinaryGet: try get(Int(try number(input.u32())))
        case .emptyTuple, .emptyList, .emptyDictionary, .emptySet, .tuple, .tuple1, .tuple2, .tuple3, .list,
            .dictionary, .frozenSet, .append, .appends, .addItems, .setItem, .setItems:
            try runContainer(opcode)
        case .global: try global(try line(), try line())
        case .stackGlobal:
            guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
                throw invalid("STACK_GLOBAL without two strings")
            }
            try global(module, name)
        case .reduce: try reduce()
        case .build: try build()
        case .binaryPersistentID: try storage()
        }
    }

    private mutating func runContainer(_ opcode: PickleOpcode) throws {
        switch opcode {
        case .emptyTuple: try make(.tuple, [])
        case .emptyList: try make(.list, [])
        case .emptyDictionary: try make(.dictionary, [])
        case .emptySet: try make(.set, [])
        case .tuple1, .tuple2, .tuple3:
            let count = Int(opcode.rawValue - PickleOpcode.tuple1.rawValue) + 1
            guard stack.count - (marks.last ?? 0) >= count else { throw invalid("a tuple of more than is there") }
            let items = Array(stack.suffix(count))
            stack.removeLast(count)
            try make(.tuple, items)
        case .tuple: try make(.tuple, try popToMark())
        case .list: try make(.list, try popToMark())
        case .frozenSet: try make(.set, try popToMark())
        case .dictionary: try make(.dictionary, try popToMark())
        case .append: try add([try pop()], to: [.list])
        case .appends: try add(try popToMark(), to: [.list])
        case .addItems: try add(try popToMark(), to: [.set])
        case .setItem:
            let value = try pop(), key = try pop()
            try add([key, value], to: [.dictionary, .orderedDictionary])
        default: try add(try popToMark(), to: [.dictionary, .orderedDictionary])
        }
    }

    // MARK: Stack, memo and containers

    private mutating func pop() throws -> Value {
        guard stack.count > (marks.last ?? 0), let value = stack.popLast() else { throw invalid("its stack is empty") }
        return value
    }

    private func top() throws -> Value {
        guard stack.count > (marks.last ?? 0), let value = stack.last else { throw invalid("its stack is empty") }
        return value
    }

    /// POP removes a mark if there is nothing above it.
    private mutating func popOrMark() throws {
        if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
    }

    private mutating func popToMark() throws -> [Value] {
        guard let mark = marks.popLast() else { throw invalid("no mark is set") }
        let items = Array(stack[mark...])
        stack.removeLast(items.count)
        return items
    }

    /// Picklers number the memo in order; other numbers would cost memory that the pickle's length does not show.
    private mutating func put(_ index: Int) throws {
        let value = try top()
        guard index <= memo.count else { throw invalid("memo \(index) is set after \(memo.count)") }
        guard memo.count < Self.memoLimit else { throw tooLarge("more than \(Self.memoLimit) memos") }
        if index < memo.count { memo[index] = value } else { memo.append(value) }
    }

    private mutating func get(_ index: Int) throws {
        guard index < memo.count else { throw invalid("memo \(index) is not set") }
        stack.append(memo[index])
    }

    private mutating func count(_ items: Int) throws {
        itemCount += items
        guard itemCount <= Self.itemLimit else { throw tooLarge("more than \(Self.itemLimit) items") }
    }

    private mutating func make(_ kind: Container.Kind, _ items: [Value]) throws {
        try count(items.count)
        guard kind != .dictionary || items.count % 2 == 0 else { throw invalid("a dictionary with a key too many") }
        guard containers.count < Self.containerLimit else {
            throw tooLarge("more than \(Self.containerLimit) containers")
        }
        stack.append(.container(containers.count))
        containers.append(Container(kind: kind, items: items))
    }

    private mutating func add(_ items: [Value], to kinds: [Container.Kind]) throws {
        try count(items.count)
        guard case .container(let index) = try top(), kinds.contains(containers[index].kind) else {
            throw invalid("items for something that has none")
        }
        guard kinds == [.list] || kinds == [.set] || items.count % 2 == 0 else {
            throw invalid("a dictionary with a key too many")
        }
        containers[index].items.append(contentsOf: items)
    }

    // MARK: Scalars

    private func number<Number>(_ value: Number?) throws -> Number {
        guard let value else { throw cut() }
        return value
    }

    /// A little-endian two's complement integer of `size` bytes.
    private mutating func long(_ size: Int) throws {
        guard let bytes = input.slice(size) else { throw cut() }
        guard size <= 8 else { throw invalid("an integer of \(size) bytes") }
        var value = bytes.last.map { $0 >= 0x80 } == true ? -1 : 0
        for byte in bytes.reversed() { value = value << 8 | Int(byte) }
        stack.append(.integer(value))
    }

    private mutating func text(_ size: UInt64) throws {
        guard let count = Int(exactly: size), let bytes = input.slice(count) else { throw cut() }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw invalid("a string that is not UTF-8") }
        stack.append(.text(text))
    }

    private mutating func bytes(_ size: UInt64) throws {
        guard let count = Int(exactly: size), input.skip(count) else { throw cut() }
        stack.append(.bytes)
    }

    private mutating func line() throws -> String {
        var bytes: [UInt8] = []
        while let byte = input.u8() {
            if byte == 0x0a { return String(decoding: bytes, as: UTF8.self) }
            guard bytes.count < SafetensorsHeader.nameLimit else { throw invalid("a name without an end") }
            bytes.append(byte)
        }
        throw cut()
    }

    // MARK: Tensors

    private mutating func global(_ module: String, _ name: String) throws {
        guard let global = PickleGlobal(module: module, name: name) else {
            throw refused("the name \(WeightsError.quoted(module + "." + name))")
        }
        stack.append(.global(global))
    }

    private mutating func reduce() throws {
        let arguments = try items(try pop(), [.tuple], "REDUCE without a tuple of arguments")
        guard case .global(let function) = try pop() else { throw refused("a call of something that has no name") }
        switch function {
        case .orderedDictionary:
            guard arguments.isEmpty else { throw refused("OrderedDict with arguments") }
            try make(.orderedDictionary, [])
        case .rebuildTensor: try tensor(arguments, count: 6)
        case .rebuildTensorOfType: try tensor(arguments, count: 7)
        case .rebuildParameter:
            guard arguments.count == 3, case .tensor = arguments[0] else {
                throw invalid("_rebuild_parameter of something else than a tensor")
            }
            stack.append(arguments[0])
        case .storage, .type: throw refused("a call of a storage or a type")
        }
    }

    /// The state of an OrderedDict is `_metadata`, which weights do not need.
    private mutating func build() throws {
        _ = try items(try pop(), [.dictionary, .orderedDictionary], "BUILD without a dictionary")
        guard case .container(let index) = try top(), containers[index].kind == .orderedDictionary else {
            throw refused("the opcode BUILD for something else than an OrderedDict")
        }
    }

    private mutating func storage() throws {
        let id = try items(try pop(), [.tuple], "BINPERSID without a tuple")
        guard id.count == 5, case .text("storage") = id[0], case .global(.storage(let type)) = id[1],
            case .text(let key) = id[2], case .text = id[3], case .integer(let count) = id[4], count >= 0
        else { throw refused("a reference to something else than a storage") }
        guard storages.count < Self.tensorLimit else { throw tooLarge("more than \(Self.tensorLimit) storages") }
        stack.append(.storage(storages.count))
        storages.append(Storage(key: key, type: type, count: count))
    }

    /// - Parameter count: number of arguments, to which metadata may follow.
    private mutating func tensor(_ arguments: [Value], count: Int) throws {
        let wrong = "a tensor of other arguments than torch.save writes"
        guard arguments.count == count || arguments.count == count + 1, case .storage(let storage) = arguments[0],
            case .integer(let offset) = arguments[1], case .bool = arguments[4]
        else { throw invalid(wrong) }
        let shape = try integers(arguments[2]), strides = try integers(arguments[3])
        guard offset >= 0, shape.count == strides.count, shape.allSatisfy({ $0 >= 0 }), strides.allSatisfy({ $0 >= 0 })
        else { throw invalid(wrong) }
        guard shape.count <= SafetensorsHeader.rankLimit else {
            throw tooLarge("a tensor of \(shape.count) dimensions, the limit is \(SafetensorsHeader.rankLimit)")
        }
        var type = storages[storage].type
        if count == 7 {
            guard case .global(.type(let own)) = arguments[6] else { throw invalid(wrong) }
            type = own
        }
        guard let type else { throw invalid("a tensor without a type") }
        // Metadata says that the values are to be negated or conjugated.
        if arguments.count > count,
            try !items(arguments[count], [.dictionary, .orderedDictionary], wrong).isEmpty
        {
            throw refused("a tensor with metadata")
        }
        guard tensors.count < Self.tensorLimit else { throw tooLarge("more than \(Self.tensorLimit) tensors") }
        stack.append(.tensor(tensors.count))
        tensors.append(Tensor(storage: storage, type: type, offset: offset, shape: shape, strides: strides))
    }

    private func integers(_ value: Value) throws -> [Int] {
        try items(value, [.tuple, .list], "a shape that is no tuple").map { item in
            guard case .integer(let number) = item else { throw invalid("a shape that has no whole numbers") }
            return number
        }
    }

    private func items(_ value: Value, _ kinds: [Container.Kind], _ fault: String) throws -> [Value] {
        guard case .container(let index) = value, kinds.contains(containers[index].kind) else { throw invalid(fault) }
        return containers[index].items
    }

    // MARK: Errors

    private func invalid(_ what: String) -> WeightsError { .pickleInvalid(file, "\(what), at byte \(position)") }
    private func cut() -> WeightsError { invalid("it ends in the middle of an opcode") }
    private func refused(_ what: String) -> WeightsError { .pickleRefused(file, "\(what) at byte \(position)") }
    private func tooLarge(_ what: String) -> WeightsError { .pickleTooLarge(file, what) }
}
