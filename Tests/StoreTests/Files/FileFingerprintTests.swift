import Foundation
import Testing

import Store

/// Which times prove that a file has the content that was read.
@Suite struct FileFingerprintTests {
    private static let second: Int64 = 1_000_000_000
    private static let now: Int64 = 1_800_000_000 * second

    private func proves(modified: Int64, changed: Int64?, checked: Int64?, now: Int64 = Self.now) -> Bool {
        FileFingerprint(size: 1, modified: modified, changed: changed, inode: 1).proves(readAt: checked, now: now)
    }

    @Test func `times that cannot be true prove nothing`() {
        let (old, hour) = (Self.now - 86_400 * Self.second, 3600 * Self.second)
        #expect(proves(modified: old, changed: old, checked: Self.now))
        // As cp -p and rsync leave it.
        #expect(proves(modified: old - 1000 * hour, changed: old, checked: Self.now))
        #expect(!proves(modified: old, changed: nil, checked: Self.now), "an old row")
        #expect(!proves(modified: old, changed: old, checked: nil), "an old row")
        #expect(!proves(modified: 0, changed: old, checked: Self.now), "1970")
        #expect(!proves(modified: old, changed: 0, checked: Self.now), "1970")
        #expect(!proves(modified: Self.now + hour, changed: old, checked: Self.now), "the future")
        #expect(!proves(modified: old, changed: Self.now + hour, checked: Self.now), "the future")
        #expect(!proves(modified: old + hour, changed: old, checked: Self.now), "modified after the last change")
        #expect(!proves(modified: old, changed: old, checked: old + Self.second), "a later write may look the same")
        #expect(proves(modified: old, changed: old, checked: old + 3 * Self.second))
    }

    @Test func `an equal change time is asked for, an equal file system is not`() {
        let one = FileFingerprint(size: 1, modified: 2, changed: 3, inode: 4, device: 5)
        #expect(one.equals(FileFingerprint(size: 1, modified: 2, changed: 3, inode: 4, device: 9)))
        #expect(!one.equals(FileFingerprint(size: 1, modified: 2, changed: 4, inode: 4, device: 5)))
        #expect(one.isLike(FileFingerprint(size: 1, modified: 2, changed: 4, inode: 4)))
        let unknown = FileFingerprint(size: 1, modified: 2, changed: nil, inode: 4)
        #expect(!unknown.equals(unknown))
    }
}
