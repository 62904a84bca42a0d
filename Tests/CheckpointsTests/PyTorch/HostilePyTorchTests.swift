import Checkpoints
import Foundation
import Tensors
import Testing

/// Hostile pickles and zip archives: refused by name or read right, never run, never a trap.
@Suite struct HostilePyTorchTests {
    /// Writes a file and opens it: nil and the error, or the file.
    private static func open(_ data: Data) throws -> (file: PyTorchFile?, error: WeightsError?) {
        try withTemporaryFolder { folder in
            let path = folder + "/pytorch_model.bin"
            try data.write(to: URL(filePath: path))
            do {
                return (try PyTorchFile(path: path), nil)
            } catch let error as WeightsError {
                #expect(error.message.hasPrefix(path), "\(error)")
                #expect(error.message.utf8.count < 700 && !error.message.contains("\n"), "\(error)")
                return (nil, error)
            }
        }
    }

    private static func expectRefusal(
        _ data: Data, _ code: WeightsError.Code, _ says: String = "", _ comment: String = "",
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let (file, error) = try open(data)
        #expect(
            file == nil && error?.code == code, "\(comment): \(error?.message ?? "accepted")",
            sourceLocation: sourceLocation)
        #expect(
            error?.message.contains(says) == true, "\(comment): \(error?.message ?? "accepted")",
            sourceLocation: sourceLocation)
    }

    /// Accepts nothing but the two values of the good file, under the name "a".
    private static func expectRefusalOrGood(_ data: Data, _ comment: String) throws {
        let (file, _) = try open(data)
        guard let file else { return }
        #expect(file.names == ["a"] && file.tensors["a"]?.shape == [2], "\(comment)")
        #expect(try file.tensors["a"]?.floats() == [1, 2], "\(comment)")
    }

    private static func data(_ pickle: Pickle) -> Data { TorchArchive(pickle).data }

    @Test func `the good file is read, in protocol 2 and by STACK_GLOBAL`() throws {
        let (file, error) = try Self.open(TorchArchive().data)
        #expect(error == nil)
        #expect(try file?.tensors["a"]?.floats() == [1, 2])
        let stacked = Pickle.member { pickle in
            pickle.stackGlobal("torch._utils", "_rebuild_parameter")
            pickle.code("(")
            pickle.tensor()
            pickle.raw(0x88)
            pickle.code("}tR")
        }
        #expect(try Self.open(Self.data(stacked)).file?.tensors["a"]?.floats() == [1, 2])
    }

    // MARK: Opcodes

    @Test func `every byte as an opcode is refused or leaves the weights as they are`() throws {
        var refused: Set<UInt8> = []
        for byte in UInt8.min...UInt8.max {
            for tail in [[], Array("os\nsystem\n(X\u{2}\0\0\0idtR".utf8), [0, 0, 0, 0, 0, 0, 0, 0]] as [[UInt8]] {
                let pickle = Pickle.good { $0.bytes += [byte] + tail }
                let (file, error) = try Self.open(Self.data(pickle))
                if let file {
                    #expect(try file.tensors["a"]?.floats() == [1, 2], "opcode \(byte)")
                } else if error?.code == .pickleRefused {
                    refused.insert(byte)
                }
            }
        }
        // FLOAT INT LONG PERSID STRING BINSTRING SHORT_BINSTRING UNICODE GET INST OBJ PUT NEWOBJ EXT1 EXT2 EXT4
        // NEWOBJ_EX NEXT_BUFFER READONLY_BUFFER
        for byte in Array("FILPSTUVgiop".utf8) + [0x81, 0x82, 0x83, 0x84, 0x92, 0x97, 0x98] {
            #expect(refused.contains(byte), "opcode \(byte)")
        }
    }

    @Test func `opcodes that call are refused by name`() throws {
        let os = "os\nsystem\n"
        let cases: [(String, (inout Pickle) -> Void)] = [
            ("INST", { $0.code("(i\(os)") }), ("INST", { $0.code("(icollections\nOrderedDict\n") }),
            ("\"os.system\"", { $0.code("(c\(os)o") }),
            ("OBJ", { $0.code("(ccollections\nOrderedDict\no") }),
            (
                "NEWOBJ",
                {
                    $0.code("ccollections\nOrderedDict\n)"); $0.raw(0x81)
                }
            ),
            (
                "NEWOBJ_EX",
                {
                    $0.code("ccollections\nOrderedDict\n)}"); $0.raw(0x92)
                }
            ),
            ("EXT1", { $0.raw(0x82, 1) }), ("EXT2", { $0.raw(0x83, 1, 0) }), ("EXT4", { $0.raw(0x84, 1, 0, 0, 0) }),
            ("PERSID", { $0.code("P1\n") }), ("NEXT_BUFFER", { $0.raw(0x97) }),
            ("READONLY_BUFFER", { $0.raw(0x98) }), ("UNICODE", { $0.code("Va\n") }), ("GET", { $0.code("g0\n") }),
            ("PUT", { $0.code("p0\n") }), ("STRING", { $0.code("S'a'\n") }), ("0xff", { $0.raw(0xff) }),
            (
                "no name",
                {
                    $0.code("X"); $0.little(UInt32(1)); $0.code("a)R")
                }
            ), ("no name", { $0.code("))R") }),
            (
                "OrderedDict with arguments",
                {
                    $0.code("ccollections\nOrderedDict\n("); $0.code("]tR")
                }
            ),
            ("a storage or a type", { $0.code("ctorch\nFloatStorage\n)R") }),
            ("a storage or a type", { $0.code("ctorch\nfloat32\n)R") }),
            (
                "BUILD",
                {
                    $0.tensor(); $0.code("}b")
                }
            ), ("BUILD", { $0.code("}}b") }), ("BUILD", { $0.code("]}b") }),
            ("BUILD", { $0.code("ctorch\nFloatStorage\n}b") }),
            ("else than a storage", { $0.code("(X\u{3}\0\0\0abctQ") }), ("else than a storage", { $0.code(")Q") }),
            ("protocol 6", { $0.raw(0x80, 6) }),
        ]
        for (says, write) in cases {
            try Self.expectRefusal(Self.data(.good(write)), .pickleRefused, says, says)
        }
    }

    static let names = [
        "os.system", "posix.system", "nt.system", "os.popen", "os.execv", "subprocess.Popen", "subprocess.check_output",
        "builtins.eval", "builtins.exec", "builtins.getattr", "builtins.open", "builtins.compile",
        "builtins.__import__",
        "builtins.setattr", "builtins.print", "builtins.list", "builtins.dict", "builtins.set", "builtins.bytearray",
        "__builtin__.eval", "__builtin__.set", "__main__.Model", "runpy.run_path", "pty.spawn",
        "socket.create_connection",
        "shutil.rmtree", "webbrowser.open", "importlib.import_module", "pickle.loads", "_pickle.loads", "marshal.loads",
        "types.FunctionType", "types.CodeType", "operator.attrgetter", "operator.itemgetter", "functools.partial",
        "functools.reduce", "code.interact", "pdb.set_trace", "timeit.timeit", "ctypes.CDLL", "sys.exit",
        "copyreg._reconstructor",
        "copyreg.__newobj__", "copy_reg._reconstructor", "collections.defaultdict", "collections.Counter",
        "collections.UserDict", "collections.abc.Mapping", "collections.OrderedDict.fromkeys", "torch.load",
        "torch.hub.load",
        "torch.jit.load", "torch.save", "torch.Tensor", "torch.Size", "torch.device", "torch.nn.Linear",
        "torch.ops.load_library",
        "torch.utils.cpp_extension.load", "torch.storage._load_from_bytes", "torch.storage.TypedStorage",
        "torch.serialization._get_layout", "torch.serialization.load", "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_qtensor",
        "torch._utils._rebuild_device_tensor_from_numpy",
        "torch._utils._rebuild_parameter_with_state", "torch._utils._import_dotted_name",
        "torch._tensor._rebuild_from_type_v2",
        "torch._dynamo.run", "torch.nn.modules.module.Module", "torch.QUInt8Storage", "torch.ComplexFloatStorage",
        "torch.complex64", "torch.cuda.FloatStorage", "torch.float", "torch.FloatStorage.from_file",
        "numpy.core.multiarray._reconstruct",
        "numpy.core.multiarray.scalar", "numpy.ndarray", "numpy.dtype", "numpy.load",
        "numpy.testing._private.utils.runstring",
        "pandas.read_pickle", "joblib.load", "dill.loads", "cloudpickle.loads", "transformers.pipeline",
        "argparse.Namespace",
        "datetime.datetime", "decimal.Decimal", "uuid.UUID", "pathlib.PosixPath", "_codecs.encode", "codecs.decode",
        "re.compile",
        "logging.config.dictConfig", "Torch.FloatStorage", "torch .FloatStorage", "torch.FloatStorage ",
        "torch..FloatStorage",
        ".OrderedDict", "collections.", "collections.OrderedDict\u{0}", "\u{202e}os.system",
        "torch._utils._rebuild_tensor_v4",
    ]

    @Test func `every other name is refused, by GLOBAL and by STACK_GLOBAL`() throws {
        #expect(Set(Self.names).count >= 100)
        for name in Self.names {
            let dot = try #require(name.lastIndex(of: "."))
            let (module, last) = (String(name[..<dot]), String(name[name.index(after: dot)...]))
            for write in [{ $0.global(module, last) }, { $0.stackGlobal(module, last) }] as [(inout Pickle) -> Void] {
                for call in ["", "(X\u{2}\0\0\0idtR"] {
                    let pickle = Pickle.good {
                        write(&$0)
                        $0.code(call)
                    }
                    try Self.expectRefusal(
                        Self.data(pickle), .pickleRefused, last.contains("\0") ? "OrderedDict\\0" : "\(name)\"", name)
                }
            }
        }
    }

    // MARK: Bombs

    @Test func `bombs of memo, depth and length end at a limit`() throws {
        func repeated(_ count: Int, _ bytes: [UInt8]) -> [UInt8] {
            [UInt8]((0..<count).lazy.map { _ in bytes }.joined())
        }
        // Twice the one before, 2,000 times: 2^2000 items if they were copied.
        let doubling = Pickle.good { pickle in
            pickle.code(")")
            for _ in 0..<2000 { pickle.raw(0x32, 0x86) }
            pickle.code("0")
        }
        #expect(try Self.open(Self.data(doubling)).error == nil)
        // A million deep, as tuples, lists and dictionaries.
        for opcode in [[0x85], [0x94, 0x5d, 0x68, 0, 0x61]] as [[UInt8]] {
            let deep = Pickle.good { $0.bytes += [0x29] + repeated(500_000, opcode) + [0x30] }
            try Self.expectRefusalOrGood(Self.data(deep), "deep")
        }
        let cyclic = Pickle.good { $0.bytes += Array("]q\0h\0ah\0a0}q\u{1}X\u{1}\0\0\0ah\u{1}s0".utf8) }
        #expect(try Self.open(Self.data(cyclic)).error == nil)

        func refused(_ bytes: [UInt8], _ code: WeightsError.Code, _ says: String) throws {
            try Self.expectRefusal(Self.data(.good { $0.bytes += bytes }), code, says, says)
        }
        try refused(repeated(1_100_000, [0x4e]), .tooLarge, "values on its stack")
        try refused(repeated(1_100_000, [0x28]), .tooLarge, "values on its stack")
        try refused(repeated(1_100_000, [0x29, 0x30]), .tooLarge, "containers")
        try refused(repeated(2_200_000, [0x94]), .tooLarge, "memos")
        try refused([0x5d] + repeated(5000, [0x28] + repeated(1000, [0x4e]) + [0x65]), .tooLarge, "items")
        try refused([0x4e, 0x72, 0xff, 0xff, 0xff, 0xff], .pickleInvalid, "memo 4294967295")
        try refused([0x6a, 0xff, 0xff, 0xff, 0xff], .pickleInvalid, "memo 4294967295 is not set")
        for length in [0xff, 0x7fff_ffff, 0xffff_ffff] as [UInt64] {
            let bytes = withUnsafeBytes(of: UInt32(length).littleEndian, Array.init)
            for opcode in [0x42, 0x58, 0x8b] as [UInt8] { try refused([opcode] + bytes, .pickleInvalid, "middle") }
        }
        for length in [0xff, 1 << 32, 1 << 62, 1 << 63, .max] as [UInt64] {
            let bytes = withUnsafeBytes(of: length.littleEndian, Array.init)
            for opcode in [0x8d, 0x8e, 0x95, 0x96] as [UInt8] {
                try refused([opcode] + bytes, .pickleInvalid, "middle")
            }
        }
        try refused([0x8a, 9] + repeated(9, [1]), .pickleInvalid, "integer of 9 bytes")
        try refused([0x58, 1, 0, 0, 0, 0xff], .pickleInvalid, "not UTF-8")
        try refused(Array("c".utf8) + repeated(5000, [0x61]), .pickleInvalid, "without an end")
        try refused(Array("0000".utf8), .pickleInvalid, "stack is empty")
        try refused(Array("t".utf8), .pickleInvalid, "no mark")
        try refused(Array("(N".utf8), .pickleInvalid, "STOP")
        try refused(Array("N".utf8), .pickleInvalid, "STOP leaves")
        try refused(Array(".N".utf8), .pickleInvalid, "follow STOP")
    }

    // MARK: Tensors

    @Test func `tensors that contradict their storage are refused by name`() throws {
        let max = Int.max
        let cases: [(String, [Int], [Int], Int, Int)] = [
            ("last element is number 2", [3], [1], 0, 2), ("last element is number 2", [2], [2], 0, 2),
            ("last element is number 2", [2], [1], 1, 2), ("last element is number 9", [1], [1], 9, 2),
            ("last element is number \(max)", [1], [1], max, 2), ("lead out", [2], [1], max, 2),
            ("lead out", [3], [max], 0, 2), ("lead out", [2, 2], [max, max], 0, 2),
            ("64-bit", [max, max], [1, 1], 0, 2), ("64-bit", [1 << 62], [1], 0, 2),
            ("64-bit", [max, max, 0], [1, 1, 1], 0, 2), ("other arguments", [-1], [1], 0, 2),
            ("other arguments", [2], [-1], 0, 2), ("other arguments", [2], [1], -1, 2),
            ("other arguments", [2], [1, 1], 0, 2), ("other arguments", [], [1], 0, 2),
            ("9 dimensions", [1, 1, 1, 1, 1, 1, 1, 1, 2], [1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 2),
            ("says 3 elements", [2], [1], 0, 3), ("says 0 elements", [2], [1], 0, 0),
            ("says \(max) elements", [2], [1], 0, max), ("else than a storage", [2], [1], 0, -1),
            ("views with strides", [1 << 40], [0], 0, 2), ("views with strides", [1 << 30, 1 << 30], [0, 0], 0, 2),
        ]
        for (says, shape, strides, offset, count) in cases {
            let pickle = Pickle.member { $0.tensor(shape: shape, strides: strides, offset: offset, count: count) }
            let (file, error) = try Self.open(Self.data(pickle))
            #expect(file == nil && error?.message.contains(says) == true, "\(says): \(error?.message ?? "accepted")")
        }
        let many = Pickle { pickle in
            pickle.code("}(")
            for index in 0..<5000 {
                pickle.text("view\(index)")
                pickle.tensor(shape: [2, 2], strides: [0, 1])
            }
            pickle.code("u.")
        }
        // Fewer bytes than the file has, which repeats the call each time.
        #expect(try Self.open(Self.data(many)).file?.tensors["view4999"]?.floats() == [1, 2, 1, 2])
        let wide = Pickle.member { $0.tensor(shape: [1], strides: [max]) }
        #expect(try Self.open(Self.data(wide)).file?.tensors["a"]?.floats() == [1])
        let nothing = Pickle.member { $0.tensor(shape: [0, max], strides: [max, max], offset: max) }
        #expect(try Self.open(Self.data(nothing)).file?.tensors["a"]?.floats() == [])
    }

    @Test func `what is no dictionary of tensors is refused`() throws {
        func refused(_ code: WeightsError.Code, _ says: String, _ write: (inout Pickle) -> Void) throws {
            try Self.expectRefusal(
                Self.data(
                    Pickle {
                        write(&$0); $0.code(".")
                    }), code, says, says)
        }
        try refused(.pytorchUnsupported, "no dictionary") { $0.code("N") }
        try refused(.pytorchUnsupported, "no dictionary") { $0.code("]") }
        try refused(.pytorchUnsupported, "no dictionary") { $0.tensor() }
        try refused(.pytorchUnsupported, "not a tensor") { $0.code("}X\u{1}\0\0\0a}s") }
        try refused(.pytorchUnsupported, "not a tensor") { $0.code("}X\u{1}\0\0\0aNs") }
        try refused(.pickleInvalid, "name is not a string") {
            $0.code("}N"); $0.tensor(); $0.code("s")
        }
        try refused(.pickleInvalid, "key too many") {
            $0.code("}(N"); $0.code("u")
        }
        try refused(.pickleInvalid, "key too many") { $0.code("(Nd") }
        try refused(.pickleInvalid, "something that has none") { $0.code(")Na") }
        try refused(.pickleInvalid, "something that has none") { $0.code("NNa") }
        try refused(.nameTooLong, "2000 bytes") {
            $0.code("}")
            $0.text(String(repeating: "n", count: 2000))
            $0.tensor()
            $0.code("s")
        }
        try refused(.duplicateKey, "twice") {
            $0.code("}(")
            for _ in 0..<2 {
                $0.text("a")
                $0.tensor()
            }
            $0.code("u")
        }
        try Self.expectRefusal(
            TorchArchive(
                .member {
                    $0.global("torch._utils", "_rebuild_tensor_v2"); $0.code(")R")
                }
            ).data,
            .pickleInvalid, "other arguments")
        try Self.expectRefusal(
            TorchArchive(
                .member {
                    $0.global("torch._utils", "_rebuild_parameter"); $0.code("(NNNtR")
                }
            ).data,
            .pickleInvalid, "_rebuild_parameter")
    }

    // MARK: Zip

    @Test func `tricks of the archive are refused`() throws {
        let good = TorchArchive()
        let size = UInt64(good.data.count)
        let directory = good.entries.reduce(0) { $0 + 30 + $1.name.utf8.count + $1.data.count }
        let directorySize = good.entries.reduce(0) { $0 + 46 + $1.name.utf8.count }
        func zip64(_ count: Int, _ size: Int, _ offset: Int) -> (inout TorchArchive) -> Void {
            { $0.zip64 = (UInt64(count), UInt64(size), UInt64(offset)) }
        }
        typealias Change = (inout TorchArchive) -> Void
        let tricks: [(String, Change)] = [
            ("method 8", { $0.entries[2].method = 8 }), ("method 8", { $0.entries[0].method = 8 }),
            ("method 12", { $0.entries[1].method = 12 }), ("method 99", { $0.entries[3].method = 99 }),
            ("encrypted", { $0.entries[2].flags = 1 }), ("unknown flags", { $0.entries[2].flags = 0x2000 }),
            ("another one", { $0.entries[2].localMethod = 8 }),
            ("another one", { $0.entries[2].localName = "a/data/1" }),
            ("another one", { $0.entries[2].localName = "a/data/00" }),
            ("another one", { $0.entries[2].localSize = 4 }),
            ("another one", { $0.entries[2].localSize = .max }),
            (
                "another one",
                {
                    $0.entries[2].localSize = .max
                    $0.entries[2].localExtra = TorchArchive.zip64Extra(9, 9)
                }
            ),
            ("8 bytes, 4 of them", { $0.entries[2].packed = 4 }), ("of them stored", { $0.entries[2].packed = 0 }),
            ("overlaps", { $0.entries[2].size = 60 }), ("overlaps", { $0.entries[3].size = 60 }),
            ("overlaps", { $0.entries[3].size = 0x7fff_ffff }),
            ("overlaps", { $0.entries[1].header = $0.entries[0].header ?? 0 }),
            (
                "overlaps",
                {
                    $0.entries[2].localExtra = []; $0.entries[2].header = 1 << 30
                }
            ),
            ("no header", { $0.entries[3].header = UInt32(directory) - 40 }),
            ("overlaps", { $0.entries[2].header = 5 }),
            ("overlaps", { $0.entries[3].header = UInt32(directory) }),
            ("twice", { $0.entries[2].name = "a/byteorder" }), ("twice", { $0.entries.append($0.entries[2]) }),
            ("2 pickles", { $0.entries.append(.init(name: "b/data.pkl", data: [0x80])) }),
            ("no pickle", { $0.entries[0].name = "a/data.pk" }), ("no pickle", { $0.entries[0].name = "data.pkl" }),
            ("no pickle", { $0.entries[0].name = "a/b/data.pkl" }), ("no pickle", { $0.entries.remove(at: 0) }),
            ("not in the file", { $0.entries[2].name = "a/data/7" }),
            ("not in the file", { $0.entries[2].name = "b/data/0" }),
            ("not in the file", { $0.entries.remove(at: 2) }),
            ("storage has 4 bytes", { $0.entries[2].data = [0, 0, 0, 0] }),
            ("storage has 0 bytes", { $0.entries[2].data = [] }),
            ("little-endian", { $0.entries[1].data = Array("big".utf8) }),
            ("little-endian", { $0.entries[1].data = [UInt8](repeating: 0x6c, count: 5000) }),
            ("checksum", { $0.entries[0].crc = 1 }), ("damaged", { $0.entries[0].data = [] }),
            ("not UTF-8", { $0.entries[2].nameBytes = [0xff, 0xfe] }),
            ("not UTF-8", { $0.entries[2].nameBytes = [0x61, 0] }),
            ("5000 bytes", { $0.entries[2].name = String(repeating: "n", count: 5000) }),
            ("another disk", { $0.entries[2].disk = 1 }),
            ("TorchScript", { $0.entries.append(.init(name: "a/constants.pkl", data: [0x80])) }),
            ("TorchScript", { $0.entries.append(.init(name: "a/code/__torch__.py", data: [0x80])) }),
            ("no zip directory", { $0.comment = [0x61] }), ("bytes more than its 3 entries", { $0.count = 3 }),
            ("is damaged", { $0.count = 5 }), ("is damaged", { $0.count = 5000 }), ("bytes more", { $0.count = 0 }),
            ("zip64 record that is missing", { $0.count = 0xffff }),
            ("zip64 record that is missing", { $0.directorySize = .max }),
            ("zip64 record that is missing", { $0.directoryOffset = .max }),
            ("must end at", { $0.directorySize = 5 }), ("must end at", { $0.directoryOffset = 5 }),
            ("must end at", { $0.directoryOffset = .max - 1 }),
            ("contradicts", zip64(5, directorySize, directory)), ("contradicts", zip64(4, 1, directory)),
            ("contradicts", zip64(4, directorySize, 7)),
            (
                "zip64 record is damaged",
                {
                    zip64(4, directorySize, directory)(&$0); $0.zip64Size = 45
                }
            ),
            (
                "zip64 record is damaged",
                {
                    zip64(4, directorySize, directory)(&$0); $0.zip64Size = .max
                }
            ),
            (
                "zip64 record is damaged",
                {
                    zip64(4, directorySize, directory)(&$0); $0.zip64Place = 0
                }
            ),
            (
                "zip64 record is damaged",
                {
                    zip64(4, directorySize, directory)(&$0); $0.zip64Place = .max
                }
            ),
            (
                "entries, the limit is",
                {
                    $0.count = 0xffff; zip64(1 << 62, directorySize, directory)(&$0)
                }
            ),
            (
                "the limit is",
                {
                    $0.directorySize = .max; zip64(4, 1 << 62, directory)(&$0)
                }
            ),
            (
                "must end at",
                {
                    $0.directoryOffset = .max; zip64(4, directorySize, 1 << 62)(&$0)
                }
            ),
            (
                "must end at",
                {
                    $0.directoryOffset = .max; $0.zip64 = (4, UInt64(directorySize), .max)
                }
            ),
            ("no valid zip64", { $0.entries[2].size = .max }), ("no valid zip64", { $0.entries[2].header = .max }),
            (
                "no valid zip64",
                {
                    $0.entries[2].size = .max; $0.entries[2].extra = [1, 0, 8, 0, 1]
                }
            ),
            (
                "no valid zip64",
                {
                    $0.entries[2].size = .max
                    $0.entries[2].extra = TorchArchive.zip64Extra(8, 8) + TorchArchive.zip64Extra(8, 8)
                }
            ),
            (
                "nothing asks for",
                {
                    $0.entries[2].size = .max
                    $0.entries[2].extra = TorchArchive.zip64Extra(8, 8, 8)
                }
            ),
            (
                "of them stored",
                {
                    $0.entries[2].size = .max
                    $0.entries[2].extra = TorchArchive.zip64Extra(.max, .max)
                }
            ),
            (
                "of them stored",
                {
                    $0.entries[2].size = .max
                    $0.entries[2].extra = TorchArchive.zip64Extra(8, 1 << 40)
                }
            ),
            (
                "another one",
                {
                    $0.entries[2].size = .max
                    $0.entries[2].localSize = 8
                    $0.entries[2].extra = TorchArchive.zip64Extra(1 << 40, 1 << 40)
                }
            ),
            (
                "overlaps",
                {
                    $0.entries[3].header = .max
                    $0.entries[3].extra = TorchArchive.zip64Extra(1 << 62)
                }
            ),
            (
                "of them stored",
                {
                    $0.entries[3].header = .max
                    $0.entries[3].extra = TorchArchive.zip64Extra(.max)
                }
            ),
        ]
        #expect(size > 300)
        for (says, change) in tricks {
            let (file, error) = try Self.open(good.with(change).data)
            #expect(file == nil && error?.message.contains(says) == true, "\(says): \(error?.message ?? "accepted")")
        }
        // True zip64 sizes are read.
        let wide = good.with {
            $0.zip64 = (4, UInt64(directorySize) + 20, UInt64(directory) + 20)
            $0.count = 0xffff
            $0.directoryOffset = .max
            $0.directorySize = .max
            $0.entries[2].size = .max
            $0.entries[2].extra = TorchArchive.zip64Extra(8, 8)
            $0.entries[2].localExtra = TorchArchive.zip64Extra(8, 8)
        }
        #expect(try Self.open(wide.data).error?.message == nil)
    }

    @Test func `files of other formats are named`() throws {
        func refused(_ text: [UInt8], _ code: WeightsError.Code, _ says: String) throws {
            try Self.expectRefusal(Data(text), code, says, says)
        }
        try refused([0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a], .pytorchUnsupported, "before 1.6")
        var tar = [UInt8](repeating: 0, count: 512)
        tar.replaceSubrange(257..<262, with: Array("ustar".utf8))
        try refused(tar, .pytorchUnsupported, "torch.save(torch.load(")
        try refused(Array("<html>404".utf8), .archiveInvalid, "not a file of torch.save")
        try refused(Array("PK\u{3}\u{4}".utf8), .archiveInvalid, "no zip directory")
        try refused([UInt8](repeating: 0, count: 4096), .archiveInvalid, "not a file of torch.save")
        try refused(Array("PK\u{5}\u{6}".utf8) + [UInt8](repeating: 0, count: 18), .archiveInvalid, "no pickle")
        #expect(throws: WeightsError.self) { try PyTorchFile(path: "/dev/zero") }
        #expect(throws: WeightsError.self) { try PyTorchFile(path: NSTemporaryDirectory()) }
    }

    // MARK: Damage

    @Test func `a file cut at any byte is refused`() throws {
        let whole = TorchArchive().data
        for count in 1..<whole.count {
            let (file, error) = try Self.open(whole.prefix(count))
            #expect(file == nil && error != nil, "\(count) bytes")
        }
        let more = TorchArchive().data + [0]
        #expect(try Self.open(more).error != nil)
    }

    @Test func `a file with any byte changed is refused, or its pickle is the same`() throws {
        let whole = TorchArchive().data
        let storage = try #require(whole.range(of: Data(TorchArchive.storage)))
        var refused = 0
        for place in 0..<whole.count {
            for change in [0xff, 0x01, 0x80] as [UInt8] {
                var changed = whole
                changed[place] ^= change
                let (file, error) = try Self.open(changed)
                guard let file else {
                    refused += 1
                    #expect(error != nil)
                    continue
                }
                #expect(file.names == ["a"] && file.tensors["a"]?.shape == [2], "byte \(place)")
                if !storage.contains(place) {
                    #expect(try file.tensors["a"]?.floats() == [1, 2], "byte \(place)")
                }
            }
        }
        #expect(refused > whole.count)
    }

    @Test func `a pickle cut or changed at any byte is refused or read right, with a true checksum`() throws {
        let pickle = Pickle.good().bytes
        for count in 0..<pickle.count {
            var cut = Pickle.good()
            cut.bytes.removeLast(pickle.count - count)
            #expect(try Self.open(Self.data(cut)).error != nil, "\(count) bytes")
        }
        for place in 0..<pickle.count {
            for change in [0xff, 0x01, 0x20, 0x80] as [UInt8] {
                var changed = Pickle.good()
                changed.bytes[place] ^= change
                // Another name, shape or type is what the pickle says then: it must be consistent.
                guard let file = try Self.open(Self.data(changed)).file else { continue }
                #expect(file.names.count == 1, "byte \(place)")
                for tensor in file.tensors.values { #expect(tensor.bytes.count == tensor.count * tensor.type.size) }
            }
        }
    }
}
