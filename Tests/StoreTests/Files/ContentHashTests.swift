import Foundation
import Glibc
import Store
import Testing

@Suite struct ContentHashTests {
    @Test func theBeginningsOfAFileAreHashedInOnePass() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/a"
        let bytes = (0..<(5 << 19)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        try Data(bytes).write(to: URL(filePath: path))
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        let lengths: [Int64] = [1 << 20, 0, 7, 1 << 20, Int64(bytes.count), Int64(bytes.count) + 1, -1, .max]
        let found = try ContentHash.sha256(fileDescriptor: descriptor, firstBytes: lengths) {}
        #expect(Set(found.keys) == [0, 7, 1 << 20, Int64(bytes.count)])
        for (length, hash) in found { #expect(hash == ContentHash.sha256(Array(bytes[..<Int(length)]))) }
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try ContentHash.sha256(fileDescriptor: descriptor, firstBytes: [9]) { throw Stop() }
        }
    }
}
