import Foundation
import Glibc
import Store
import TestSupport
import Testing

/// Archives as they are written, as other tars read them, and as they must not be.
@Suite struct CheckedArchiveTests {
    private static let block = 512

    /// A folder with these files, and a place beside it.
    private struct Work {
        let directory: TemporaryDirectory
        var folder: String { directory.path + "/in" }
        var archive: String { directory.path + "/a.tar" }

        init(_ files: [String: [UInt8]] = [:]) throws {
            directory = try TemporaryDirectory()
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
            for (name, bytes) in files { try overwrite(folder + "/" + name, bytes) }
        }

        /// A new empty folder.
        func empty() throws -> String {
            let path = directory.path + "/out-\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            return path
        }

        /// Extracts the archive; returns the files.
        func extract(_ path: String? = nil) throws -> [String: [UInt8]] {
            let folder = try empty()
            let names = try CheckedArchive.extract(path ?? archive, into: folder)
            let found = try files(folder)
            try #require(Set(names) == Set(found.keys))
            return found
        }

        /// Runs tar in the folder with the files, and puts a valid trailer after what it wrote.
        func hostile(_ arguments: [String]) throws {
            try RealTool.run("tar", ["--create", "--file=" + archive, "--format=ustar"] + arguments, in: folder)
            try overwrite(archive, CheckedArchiveTests.sealed(try contents(archive)))
        }
    }

    /// An archive's bytes up to the second empty block, with the trailer that belongs to them.
    private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        let end = bytes.lastIndex { $0 != 0 }.map { ($0 / block + 1) * block } ?? 0
        let body = bytes[..<end] + [UInt8](repeating: 0, count: 2 * block)
        let line = Array("longtake-sha256 \(ContentHash.sha256(Array(body)))\n".utf8)
        return body + line + [UInt8](repeating: 0, count: block - line.count)
    }

    private static let some: [String: [UInt8]] = [
        "manifest.json": Array("{}\n".utf8), "000000.seg": (0..<5000).map { UInt8(truncatingIfNeeded: $0 * 7) },
        "empty": [], "block": [UInt8](repeating: 9, count: 512),
    ]
    private static let names = ["manifest.json", "000000.seg", "empty", "block"]

    @Test func roundTrip() throws {
        let work = try Work(Self.some)
        try CheckedArchive.write(Self.names, in: work.folder, to: work.archive)
        #expect(try CheckedArchive.verify(work.archive).map(\.name) == Self.names)
        #expect(try work.extract() == Self.some)
        let listed = try RealTool.run("tar", ["--list", "--verbose", "--file=" + work.archive])
        #expect(String(decoding: listed, as: UTF8.self).split(separator: "\n").count == Self.names.count)
    }

    @Test func extractedFilesArePrivateAndNew() throws {
        let work = try Work(Self.some)
        try CheckedArchive.write(Self.names, in: work.folder, to: work.archive)
        let folder = try work.empty()
        let before = time(nil)
        _ = try CheckedArchive.extract(work.archive, into: folder)
        for name in Self.names {
            var status = stat()
            try #require(lstat(folder + "/" + name, &status) == 0)
            #expect(status.st_mode == S_IFREG | 0o600 && status.st_mtim.tv_sec >= before - 1, "\(name)")
        }
    }

    @Test func sameFilesGiveTheSameBytes() throws {
        let (first, second) = (try Work(Self.some), try Work(Self.some))
        for name in Self.names { try #require(chmod(second.folder + "/" + name, 0o644) == 0) }
        try #require(link(second.folder + "/block", second.folder + "/other") == 0)
        try CheckedArchive.write(Self.names, in: first.folder, to: first.archive)
        try CheckedArchive.write(Self.names, in: second.folder, to: second.archive)
        #expect(try contents(first.archive) == contents(second.archive))
        #expect(try contents(first.archive) == Self.sealed(try contents(first.archive).dropLast(Self.block)))
    }

    @Test func hardLinksAreStoredAsFiles() throws {
        let work = try Work(["a": [1, 2, 3]])
        try #require(link(work.folder + "/a", work.folder + "/b") == 0)
        try CheckedArchive.write(["a", "b"], in: work.folder, to: work.archive)
        #expect(try work.extract() == ["a": [1, 2, 3], "b": [1, 2, 3]])
    }

    @Test func everyChangedByteIsRefused() throws {
        let work = try Work(Self.some)
        try CheckedArchive.write(Self.names, in: work.folder, to: work.archive)
        let whole = try contents(work.archive)
        var random = SeededNumbers(state: 11)
        // The header of the first file, its size and checksum, the empty blocks, the trailer, and anything.
        var places =
            Array(stride(from: 0, to: 512, by: 9)) + Array(124..<156) + [whole.count - 1536, whole.count - 513]
        places += (whole.count - 512..<whole.count - 512 + 82).map { $0 } + [whole.count - 1]
        places += (0..<200).map { _ in Int.random(in: 0..<whole.count, using: &random) }
        for place in places {
            var changed = whole
            changed[place] ^= UInt8.random(in: 1...255, using: &random)
            try overwrite(work.archive, changed)
            expectCode(.damaged) { try CheckedArchive.verify(work.archive) }
            if place % 8 == 0 { expectCode(.damaged) { _ = try work.extract() } }
        }
    }

    @Test func truncatedAndLengthenedArchivesAreRefused() throws {
        let work = try Work(Self.some)
        try CheckedArchive.write(Self.names, in: work.folder, to: work.archive)
        let whole = try contents(work.archive)
        let lengths = [0, 1, 511, 512, 513, 1024, 1500, whole.count - 1025, whole.count - 513, whole.count - 512]
        for length in lengths + [whole.count - 1] {
            try overwrite(work.archive, Array(whole.prefix(length)))
            expectCode(.damaged) { try CheckedArchive.verify(work.archive) }
            expectCode(.damaged) { _ = try work.extract() }
        }
        try overwrite(work.archive, whole + [0])
        #expect(expectCode(.damaged) { _ = try work.extract() }.contains("follows after its end"))
    }

    @Test func otherFilesAreRefused() throws {
        let work = try Work()
        var random = SeededNumbers(state: 3)
        let noise = (0..<100_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        for bytes in [[], Array("hello\n".utf8), noise, [UInt8](repeating: 0, count: 20_480)] {
            try overwrite(work.archive, bytes)
            #expect(expectCode(.damaged) { _ = try work.extract() }.contains(work.archive))
        }
        expectCode(.damaged) { try CheckedArchive.verify(work.folder) }
        expectCode(.damaged) { try CheckedArchive.verify("/dev/zero") }
        expectCode(.notFound) { try CheckedArchive.verify(work.directory.path + "/none.tar") }
        // A tar without a trailer.
        try RealTool.run("tar", ["--create", "--file=" + work.archive, "--mode=0600", "--format=ustar", "/etc/passwd"])
        expectCode(.damaged) { _ = try work.extract() }
    }

    @Test(arguments: [
        (["--absolute-names", "--transform=s,^a$,/tmp/longtake-hostile,", "a"], "not the name"),
        (["--absolute-names", "--transform=s,^a$,../hostile,", "a"], "not the name"),
        (["--transform=s,^a$,folder/a,", "a"], "not the name"), (["--transform=s,^a$,.hidden,", "a"], "not the name"),
        (["--transform=s,^a$,-x,", "a"], "not the name"), (["link"], "a symbolic link"),
        (["a", "hard"], "a hard link"),
        (["folder"], "a folder"), (["pipe"], "a named pipe"), (["a", "a", "--hard-dereference"], "twice"),
        (["--format=pax", "--pax-option=comment=x", "a"], "header"),
        (["--mode=4755", "a"], "not one that this program"),
        (["--format=gnu", "a"], "not one that this program"),
        (["--format=gnu", "--transform=s,^a$,\(String(repeating: "n", count: 200)),", "a"], "a long name"),
    ])
    func hostileArchivesAreRefused(_ arguments: [String], _ reason: String) throws {
        let work = try Work(["a": [1, 2, 3]])
        try #require(link(work.folder + "/a", work.folder + "/hard") == 0)
        try #require(symlink("/etc/passwd", work.folder + "/link") == 0)
        try #require(mkfifo(work.folder + "/pipe", 0o600) == 0)
        try #require(mkdir(work.folder + "/folder", 0o700) == 0)
        try work.hostile(["--mode=0600"] + arguments)
        let folder = try work.empty()
        let message = expectCode(.damaged) { _ = try CheckedArchive.extract(work.archive, into: folder) }
        #expect(message.contains(reason), "\(message)")
        #expect(Set(try FileManager.default.contentsOfDirectory(atPath: folder)).isSubset(of: ["a"]))
        expectCode(.damaged) { try CheckedArchive.verify(work.archive) }
    }

    @Test func devicesAreRefused() throws {
        let work = try Work(["a": [1]])
        try work.hostile(["--mode=0600", "a"])
        // A regular file's header made that of a character device.
        var bytes = try contents(work.archive)
        let sum = bytes[..<512].enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
        bytes[156] = UInt8(ascii: "3")
        bytes.replaceSubrange(148..<154, with: Array(String(format: "%06o", sum + 3).utf8))
        try overwrite(work.archive, Self.sealed(Array(bytes.dropLast(Self.block))))
        #expect(expectCode(.damaged) { _ = try work.extract() }.contains("a device"))
    }

    @Test func tenThousandFiles() throws {
        let work = try Work()
        let names = (0..<10_000).map { String($0) + ".seg" }
        for name in names {
            try #require(FileManager.default.createFile(atPath: work.folder + "/" + name, contents: nil))
        }
        try CheckedArchive.write(names, in: work.folder, to: work.archive)
        #expect(try CheckedArchive.verify(work.archive).count == names.count)
        // Whoever extracts decides how many there may be.
        struct TooMany: Error {}
        var seen = 0
        let folder = try work.empty()
        #expect(throws: TooMany.self) {
            try CheckedArchive.extract(
                work.archive, into: folder,
                accept: { _ in
                    seen += 1
                    if seen > 10 { throw TooMany() }
                })
        }
        #expect(seen == 11)
    }

    @Test func impossibleNamesAreNotWritten() throws {
        let work = try Work(["a": [1]])
        for names in [[], ["a", "a"], ["../a"], ["/etc/passwd"], [""], [".."], ["-a"], ["a b"], ["ä"]] {
            expectCode(.badKey) { try CheckedArchive.write(names, in: work.folder, to: work.archive) }
        }
        expectCode(.notFound) { try CheckedArchive.write(["b"], in: work.folder, to: work.archive) }
        try #require(symlink("a", work.folder + "/link") == 0)
        expectCode(.damaged) { try CheckedArchive.write(["link"], in: work.folder, to: work.archive) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: work.directory.path) == ["in"])
    }

    @Test func aFileThatShrinksIsNoticed() throws {
        let work = try Work(["a": [UInt8](repeating: 1, count: 4 << 20), "b": [UInt8](repeating: 2, count: 4 << 20)])
        var seen = 0
        let message = expectCode(.io) {
            try CheckedArchive.write(["a", "b"], in: work.folder, to: work.archive) { bytes in
                if seen == 0 { truncate(work.folder + "/b", 100) }
                seen += bytes
            }
        }
        #expect(!message.isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: work.directory.path) == ["in"])
    }

    @Test func leftoversOfKilledWritersAreRemoved() throws {
        let work = try Work(["a": [1]])
        let (dead, live) = (work.archive + ".0123456789abcdef.tmp", work.archive + ".1123456789abcdef.tmp")
        for path in [dead, live] { try overwrite(path, [1]) }
        let descriptor = open(live, O_WRONLY)
        try #require(flock(descriptor, LOCK_EX) == 0)
        defer { close(descriptor) }
        try CheckedArchive.write(["a"], in: work.folder, to: work.archive)
        #expect(access(dead, F_OK) != 0 && access(live, F_OK) == 0)
        // Writing it again replaces it.
        try CheckedArchive.write(["a"], in: work.folder, to: work.archive)
        #expect(try work.extract() == ["a": [1]])
    }

    @Test func severalFollowEachOtherInAPipe() throws {
        let work = try Work(Self.some)
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        // A tar would inherit them, and keep the pipe open.
        for end in ends { try #require(fcntl(end, F_SETFD, FD_CLOEXEC) == 0) }
        let (output, input) = (ends[1], ends[0])
        defer { close(input) }
        let folder = work.folder
        let writer = Thread {
            for names in [Self.names, ["empty"], ["block", "000000.seg"]] {
                try? CheckedArchive.write(names, in: folder, toDescriptor: output, name: "a pipe")
            }
            close(output)
        }
        writer.start()
        let reader = ArchiveReader(descriptor: input, name: "standard input")
        var found: [[String]] = []
        while try !reader.isAtEnd() {
            let folder = try work.empty()
            found.append(try CheckedArchive.extract(next: reader, into: folder))
            #expect(try files(folder).allSatisfy { Self.some[$0.key] == $0.value })
        }
        #expect(found == [Self.names, ["empty"], ["block", "000000.seg"]])
    }

    @Test func aReaderThatGoesAwayIsAnError() throws {
        signal(SIGPIPE, SIG_IGN)
        let work = try Work(["a": [UInt8](repeating: 1, count: 4 << 20)])
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        // A tar would inherit them, and keep the pipe open.
        for end in ends { try #require(fcntl(end, F_SETFD, FD_CLOEXEC) == 0) }
        let (output, input) = (ends[1], ends[0])
        defer { close(output) }
        var seen = 0
        // The pipe is not read: its first bytes fit, the rest finds no reader.
        let message = expectCode(.io) {
            try CheckedArchive.write(["a"], in: work.folder, toDescriptor: output, name: "standard output") { bytes in
                if seen == 0 { close(input) }
                seen += bytes
            }
        }
        #expect(message.contains("standard output"))
    }

    @Test func tarsVariablesChangeNothing() throws {
        let work = try Work(["a": [1]])
        setenv("TAR_OPTIONS", "--exclude=a", 1)
        defer { unsetenv("TAR_OPTIONS") }
        try CheckedArchive.write(["a"], in: work.folder, to: work.archive)
        #expect(try work.extract() == ["a": [1]])
    }

    @Test func anOccupiedFolderIsRefused() throws {
        let work = try Work(["a": [1]])
        try CheckedArchive.write(["a"], in: work.folder, to: work.archive)
        let folder = try work.empty()
        try #require(symlink(work.folder + "/a", folder + "/a") == 0)
        expectCode(.io) { _ = try CheckedArchive.extract(work.archive, into: folder) }
        #expect(try contents(work.folder + "/a") == [1])
    }

    @Test(.enabled(if: geteuid() == 0, "a tmpfs cannot be mounted here"))
    func aFullDiskIsSaid() throws {
        let work = try Work(["a": [UInt8](repeating: 1, count: 1 << 20)])
        try CheckedArchive.write(["a"], in: work.folder, to: work.archive)
        let small = try work.empty()
        guard mount("tmpfs", small, "tmpfs", 0, "size=256k,mode=700") == 0 else { return }
        defer { umount2(small, Int32(MNT_DETACH)) }
        expectCode(.noSpace) { _ = try CheckedArchive.extract(work.archive, into: small) }
        unlink(small + "/a")
        expectCode(.noSpace) { try CheckedArchive.write(["a"], in: work.folder, to: small + "/b.tar") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: small).isEmpty)
    }
}
