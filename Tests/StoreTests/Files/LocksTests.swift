import Foundation
import Glibc
import Testing

import Store

/// Locks end with what took them, whoever has a copy of the descriptor.
@Suite struct LocksTests {
    /// Copies of this process's open descriptors whose file is below `folder`.
    ///
    /// A process that is being started has the same between fork and exec.
    private func copies(below folder: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.compactMap { name in
            let file = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + name)
            guard let file, file.contains((folder as NSString).lastPathComponent), let descriptor = Int32(name) else {
                return nil
            }
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
            return copy >= 0 ? copy : nil
        }
    }

    @Test func aCopiedDescriptorKeepsNoLock() throws {
        let directory = try TemporaryDirectory()
        let cache = try directory.cache()
        let writer = try Sample.writer(cache)
        try Sample.append(writer, frame: 0)
        var held = copies(below: directory.path)
        #expect(!held.isEmpty)
        try Sample.finish(writer)
        do {
            let reader = try IndexReader(cache: cache, key: Sample.key())
            held += copies(below: directory.path)
            expectCode(.locked) { try cache.evictPatches(indexID: Sample.key().id) }
            _ = reader.entries
        }
        _ = try cache.evictPatches(indexID: Sample.key().id)
        _ = try Sample.writer(cache)
        for descriptor in held { close(descriptor) }
    }
}
