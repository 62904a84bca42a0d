import Foundation
import Glibc
import Testing

import Store

/// Files of what can be made again: damaged ones give nothing and go, and never other bytes.
@Suite struct DerivedFileTests {
    private static let identity = Array("model tower, prompt 1".utf8)
    private static let sizes = [0, 10, 5000]
    private static let sections = sizes.map { size in (0..<size).map { UInt8(truncatingIfNeeded: $0 * 7 + size) } }
    /// Magic, version, lengths; the sections' places; the identity; the checksum.
    private static let headBytes = 24 + 24 * sizes.count + identity.count + 8

    private static func write(_ path: String, _ sections: [[UInt8]] = sections) throws {
        let buffers = sections.map { section in
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, section.count), alignment: 64)
            buffer.copyBytes(from: section)
            return buffer
        }
        defer { for buffer in buffers { buffer.deallocate() } }
        try DerivedFile.write(
            path: path, identity: identity,
            sections: zip(buffers, sections).map { UnsafeRawBufferPointer(rebasing: $0[..<$1.count]) })
    }

    /// The sections; nil where one of them, or all of the file, is not what was written.
    private static func read(_ path: String) throws -> [[UInt8]]? {
        guard let file = DerivedFile(path: path, identity: identity) else { return nil }
        var found: [[UInt8]] = []
        for section in 0..<file.sectionCount {
            guard let mapping = file.map(section) else { return nil }
            try #require(mapping.bytes.count == file.byteCount(section))
            found.append(Array(mapping.bytes))
        }
        return found
    }

    /// Nil and gone, or as it was written; true for the latter.
    private func isWhole(_ path: String, _ what: String) throws -> Bool {
        guard let found = try Self.read(path) else {
            try #require(!Posix.exists(path), "\(what): it is damaged and still there")
            return false
        }
        try #require(found == Self.sections, "\(what): other bytes")
        return true
    }

    private func made() throws -> (TemporaryDirectory, String, [UInt8]) {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.path + "/derived"
        try Self.write(path)
        #expect(try Self.read(path) == Self.sections)
        return (directory, path, try contents(path))
    }

    @Test func roomBehindASectionIsOurs() throws {
        let (directory, path, good) = try made()
        defer { withExtendedLifetime(directory) {} }
        #expect(good.count == DerivedFile.size(identity: Self.identity, sections: Self.sizes))
        for (section, size) in Self.sizes.enumerated() {
            let mapping = try #require(DerivedFile(path: path, identity: Self.identity)?.map(section, room: 9000))
            #expect(mapping.bytes.count == size + 9000)
            #expect(mapping.bytes[size...].allSatisfy { $0 == 0 })
            for place in mapping.bytes.indices { mapping.bytes[place] = 0xEE }
        }
        #expect(try contents(path) == good)
        #expect(DerivedFile(path: path, identity: Self.identity)?.map(0, room: .max) == nil)
        #expect(try Self.read(path) == Self.sections)
    }

    @Test func everyFlippedByteIsDetectedOrHarmless() throws {
        let (directory, path, good) = try made()
        defer { withExtendedLifetime(directory) {} }
        var harmless: [Int] = []
        for offset in good.indices {
            for bit in offset < Self.headBytes ? Array(0..<8) : [offset % 8] {
                var bad = good
                bad[offset] ^= UInt8(1 << bit)
                try overwrite(path, bad)
                if try isWhole(path, "byte \(offset), bit \(bit)"), harmless.last != offset { harmless.append(offset) }
            }
        }
        // What is filled up to whole pages, and nothing else.
        let used = [0..<Self.headBytes, 4096..<4106, 8192..<13192]
        #expect(harmless == good.indices.filter { offset in !used.contains { $0.contains(offset) } })
    }

    @Test func aCutFileIsDetected() throws {
        let (directory, path, good) = try made()
        defer { withExtendedLifetime(directory) {} }
        for length in 0..<good.count {
            try overwrite(path, Array(good.prefix(length)))
            let whole = try isWhole(path, "\(length) bytes")
            try #require(!whole || length >= 13192, "\(length) bytes")
        }
        for start in stride(from: 0, to: 13192, by: 64) {
            try overwrite(path, Array(good.prefix(start)) + [UInt8](repeating: 0, count: good.count - start))
            try #require(try !isWhole(path, "zeros from \(start) on"))
        }
    }

    @Test func anotherIdentityIsNotOpened() throws {
        let (directory, path, good) = try made()
        defer { withExtendedLifetime(directory) {} }
        for identity in [[], Array(Self.identity.dropLast()), Self.identity + [0], Self.identity.map { $0 ^ 1 }] {
            try overwrite(path, good)
            #expect(DerivedFile(path: path, identity: identity) == nil)
        }
        #expect(DerivedFile(path: directory.path + "/none", identity: Self.identity) == nil)
        try #require(mkdir(directory.path + "/folder", 0o700) == 0)
        #expect(DerivedFile(path: directory.path + "/folder", identity: Self.identity) == nil)
        try overwrite(path, good)
        try #require(symlink(path, directory.path + "/link") == 0)
        #expect(DerivedFile(path: directory.path + "/link", identity: Self.identity) == nil)
    }

    /// Heads with the right checksum and impossible numbers.
    @Test func aForgedHeadCannotTrap() throws {
        let (directory, path, good) = try made()
        defer { withExtendedLifetime(directory) {} }
        func head(_ count: Int, _ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var head = Array(good.prefix(24))
            head.replaceSubrange(16..<20, with: withUnsafeBytes(of: UInt32(count).littleEndian) { Array($0) })
            for place in 0..<count {
                // Beyond the three that there are: empty ones.
                head +=
                    place < 3 ? Array(good[(24 + 24 * place)..<(48 + 24 * place)]) : [UInt8](repeating: 0, count: 24)
            }
            head += Self.identity
            change(&head)
            head.put(Checksum.of(head))
            return head + good.dropFirst(min(head.count, good.count))
        }
        func number(_ value: UInt64, at offset: Int) -> (inout [UInt8]) -> Void {
            { head in
                head.replaceSubrange(offset..<(offset + 8), with: withUnsafeBytes(of: value.littleEndian) { Array($0) })
            }
        }
        try overwrite(path, head(3) { _ in })
        #expect(try isWhole(path, "nothing forged"))
        let size = UInt64(good.count)
        for place in 0..<3 {
            for offset in [1 << 63, .max, size + 4096, 1, 4095, 8191, 1 << 62, (1 << 63) - 4096, UInt64.max & ~4095] {
                try overwrite(path, head(3, number(offset, at: 24 + 24 * place)))
                try #require(try !isWhole(path, "section \(place) at \(offset)"))
            }
            for count in [1 << 63, .max, size, size + 1, 1 << 62, (1 << 63) - 1] {
                try overwrite(path, head(3, number(count, at: 32 + 24 * place)))
                try #require(try !isWhole(path, "section \(place) of \(count) bytes"))
            }
        }
        try overwrite(path, head(4097) { _ in })
        #expect(try !isWhole(path, "4097 sections"))
        for (offset, value) in [
            (8, UInt32(2)), (8, 0), (12, 0), (12, .max), (16, .max), (16, 1 << 31), (16, 4096), (16, 0),
        ] {
            try overwrite(
                path,
                head(3) { head in
                    head.replaceSubrange(
                        offset..<(offset + 4), with: withUnsafeBytes(of: value.littleEndian) { Array($0) })
                })
            try #require(try !isWhole(path, "\(value) at \(offset)"))
        }
    }

    /// Any call fails: the file there was is still there, or the new one is whole.
    @Test func aWriteFailsWhole() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let path = directory.path + "/derived"
        let older = [[UInt8(1)], [2, 2], [3, 3, 3]]
        let plain = FaultPlan(below: directory.path)
        try plain.during { try Self.write(path) }
        var (runs, failed) = (0, 0)
        for operation in [FaultPlan.Operation.open, .write, .rename] {
            try #require(plain.count(operation) > 0)
            for number in 0..<plain.count(operation) {
                var effects: [FaultPlan.Effect] = [EIO, ENOSPC, EDQUOT, EFBIG, EROFS, EMFILE].map { .error($0) }
                if operation == .write { effects.append(.short) }
                for effect in effects {
                    for sticky in [false, true] {
                        let what = "\(operation) \(number) \(effect) sticky \(sticky)"
                        try Self.write(path, older)
                        let plan = FaultPlan(
                            below: directory.path, operation: operation, number: number, effect: effect, sticky: sticky)
                        var error: StoreError?
                        do {
                            try plan.during { try Self.write(path) }
                        } catch let thrown as StoreError { error = thrown }
                        runs += 1
                        if let error {
                            failed += 1
                            let isFull = [ENOSPC, EDQUOT, EFBIG].contains { effect == .error($0) }
                            try #require(error.code == (isFull ? .noSpace : .io), "\(what): \(error)")
                        }
                        try #require(try Self.read(path) == (error == nil ? Self.sections : older), "\(what)")
                        if effect == .short || operation == .open && effect == .error(EMFILE) && !sticky {
                            try #require(error == nil, "\(what)")
                        }
                        try #require(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["derived"])
                    }
                }
            }
        }
        #expect(failed > runs / 2)
        print("derived files: \(runs) writes with a fault, \(failed) of them failed")
    }
}
