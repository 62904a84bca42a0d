import Foundation
import Glibc
import Testing

import Media

/// What is no readable video file at all: said before a worker starts, or by it.
@Suite struct FaultsFileTests {
    /// Not in Glibc's module map.
    private typealias SetUser = @convention(c) (UInt32) -> Int32

    private func openCode(_ path: String) -> MediaError.Code? {
        do {
            _ = try RecordingFile(path: path)
            return nil
        } catch let error as MediaError {
            return error.code
        } catch {
            return .worker
        }
    }

    @Test func f01EmptyFile() throws {
        let directory = try FaultDirectory()
        #expect(openCode(try directory.write("empty.mp4", [])) == .emptyFile)
    }

    @Test func f02WhatIsNoRegularFile() throws {
        let directory = try FaultDirectory()
        #expect(openCode(directory.path) == .notRegularFile)
        let fifo = directory.file("fifo.mp4")
        #expect(mkfifo(fifo, 0o600) == 0)
        #expect(openCode(fifo) == .notRegularFile)
        #expect(openCode("/dev/zero") == .notRegularFile)
        #expect(openCode("/dev/null") == .notRegularFile)
        #expect(openCode("/proc/self/status") == .notRegularFile)

        let path = directory.file("socket.mp4")
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(100)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        #expect(openCode(path) == .notRegularFile)
    }

    @Test func f03UnreadableOrGone() throws {
        let directory = try FaultDirectory()
        #expect(openCode(directory.file("missing.mp4")) == .cannotRead)
        #expect(openCode("") == .cannotRead)
        #expect(openCode(directory.file(String(repeating: "a", count: 300))) == .cannotRead)
        let path = try directory.write("secret.mp4", "0123456789")
        #expect(openCode(path + "/inside.mp4") == .cannotRead)
        #expect(chmod(path, 0) == 0)
        // Root reads everything; the file system's view of the user belongs to the thread alone.
        let become = try #require(dlsym(nil, "setfsuid").map { unsafeBitCast($0, to: SetUser.self) })
        let own = geteuid()
        if own == 0 { _ = become(65534) }
        let denied = openCode(path)
        if own == 0 { _ = become(own) }
        #expect(denied == .cannotRead)
        #expect(throws: MediaError.self) { try RecordingFile(path: Array("a\0b".utf8)) }
    }

    @Test func f05InterruptedBeforeItsIndex() throws {
        let directory = try FaultDirectory()
        try directory.ramp("whole.mp4")
        let whole = try directory.read("whole.mp4")
        // The index is at the end: cut anywhere before it.
        for part in [0.3, 0.6, 0.9] {
            let path = try directory.write("cut.mp4", Array(whole.prefix(Int(Double(whole.count) * part))))
            #expect(openCode(path) == .moovMissing)
        }
        let moov = try #require(whole.positions(of: "moov").last) - 4
        #expect(openCode(try directory.write("cut.mp4", Array(whole[..<moov]))) == .moovMissing)
        let outcome = try decode(try directory.write("cut.mp4", Array(whole[..<moov])))
        #expect(outcome.error?.message.contains("untrunc") == true)
        // As a camera leaves it: the box of the media still has length 0, to the end of the file.
        var open = Array(whole[..<moov])
        let mdat = try #require(open.positions(of: "mdat").first) - 4
        open.put([0, 0, 0, 0], at: mdat)
        #expect(openCode(try directory.write("open.mp4", open)) == .moovMissing)
        // Old QuickTime has no ftyp box in front.
        let quicktime = Array(whole[Int(whole[3])..<moov])
        #expect(try refusal(try directory.write("old.mov", quicktime)) == .moovMissing)
    }

    @Test func f28StillPictures() throws {
        let directory = try FaultDirectory()
        let source = "testsrc2=s=32x32:r=5:d=1"
        for name in ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tiff"] {
            let path = try directory.ffmpeg("-f", "lavfi", "-i", source, "-frames:v", "1", name)
            #expect(openCode(path) == .stillImage, "\(name)")
        }
        let animation = try directory.ffmpeg("-f", "lavfi", "-i", source, "a.gif")
        #expect(openCode(animation) == .stillImage)
        // A picture under a video's name is one all the same.
        #expect(openCode(try directory.write("video.mp4", try directory.read("a.png"))) == .stillImage)
    }

    @Test func f28APercentInANameIsAPercent() throws {
        let directory = try FaultDirectory()
        try directory.ramp("one.mkv", seconds: 3)
        for name in ["shot%03d.mkv", "*.mkv", "concat:x.mkv", "-i.mkv", "pipe:0"] {
            let path = directory.file(name)
            try FileManager.default.copyItem(atPath: directory.file("one.mkv"), toPath: path)
            #expect(try decode(path).frames.count == 3, "\(name)")
        }
        // Were the pattern expanded, the picture beside it would be found.
        try directory.ffmpeg("-f", "lavfi", "-i", "color=red:s=16x16:d=1", "-frames:v", "1", "still001.png")
        #expect(openCode(directory.file("still%03d.png")) == .cannotRead)
    }

    @Test func f29Playlists() throws {
        let directory = try FaultDirectory()
        try directory.ramp("part.ts", seconds: 2)
        let list = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n\(directory.file("part.ts"))\n#EXT-X-ENDLIST\n"
        let manifest = """
            <?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>
            <Representation id="0"><BaseURL>part.ts</BaseURL></Representation></AdaptationSet></Period></MPD>
            """
        let scripts = [
            "list.m3u8": list, "list.ts": list, "marked.m3u8": "\u{FEFF}" + list, "list.mpd": manifest,
            "list.mp4": manifest,
            "list.txt": "ffconcat version 1.0\nfile 'part.ts'\n", "plain.txt": "file 'part.ts'\n",
            "radio.pls": "[playlist]\nFile1=http://127.0.0.1:9/a.ts\n",
        ]
        for (name, text) in scripts {
            #expect(openCode(try directory.write(name, text)) == .playlist, "\(name)")
        }
        // What opening does not know, no demuxer may: none of theirs is on the list.
        let others = [
            "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9999 RTP/AVP 96\n",
            "b.m3u8": "# a remark first\n" + list, "c.txt": "# a remark first\nffconcat version 1.0\nfile part.ts\n",
            "d.asx": "<asx version=\"3.0\"><entry><ref href=\"http://127.0.0.1:9/a\"/></entry></asx>",
        ]
        for (name, text) in others {
            let code = try refusal(try directory.write(name, text))
            #expect(code == .unsupportedFormat || code == .playlist, "\(name): \(String(describing: code))")
        }
    }

    @Test func f29AnIndexThatPointsElsewhere() throws {
        let directory = try FaultDirectory()
        let path = try directory.ramp("whole.mp4", seconds: 3)
        var bytes = try directory.read("whole.mp4")
        // dref's one entry: "url " with flag 1, the media is in this file. Without the flag a name is looked for.
        let url = try #require(bytes.positions(of: "url ").first)
        bytes[url + 7] = 0
        let outcome = try decode(try directory.write("elsewhere.mp4", bytes))
        #expect(outcome.error != nil || outcome.frames.count == 3)
        #expect(try decode(path).frames.count == 3)
        // An alias record that names another file by its path, and that file is there.
        let alias = try directory.write("alias.mp4", withExternalMedia(try directory.read("whole.mp4"), name: path))
        let second = try decode(alias)
        #expect(second.error?.code == .unsupportedFormat)
        #expect(second.error?.message.contains("another file") == true, "\(String(describing: second.error))")
    }

    @Test func f35ReplacedWhileRead() throws {
        let directory = try FaultDirectory()
        let path = try directory.write("talk.mp4", "0123456789")
        let file = try RecordingFile(path: path)
        #expect(file.isUnchanged)
        #expect(file.isUnchanged)
        // Same size, same inode, other time.
        let handle = open(path, O_WRONLY)
        var times = [timespec(tv_sec: 1_000_000_000, tv_nsec: 1), timespec(tv_sec: 1_000_000_000, tv_nsec: 1)]
        #expect(futimens(handle, &times) == 0)
        #expect(!file.isUnchanged)
        let touched = try RecordingFile(path: path)
        #expect(touched.isUnchanged)
        // Longer, with its time put back.
        #expect(Glibc.write(open(path, O_WRONLY | O_APPEND), "x", 1) == 1)
        #expect(futimens(handle, &times) == 0)
        close(handle)
        #expect(!touched.isUnchanged)
        // Another file of the same size and time under the name.
        let last = try RecordingFile(path: path)
        let other = try directory.write("other.mp4", "abcdefghijk")
        let second = open(other, O_WRONLY)
        #expect(futimens(second, &times) == 0)
        close(second)
        #expect(last.isUnchanged)
        #expect(rename(other, path) == 0)
        #expect(!last.isUnchanged)
        #expect(unlink(path) == 0)
        #expect(!last.isUnchanged)
    }
}
