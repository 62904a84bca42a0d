import Foundation
import Glibc
import SystemCalls
import Synchronization
import Testing

@Suite("SystemCall")
struct SystemCallTests {
    /// A pipe, whose ends are closed at the end.
    private func withPipe(_ body: (_ source: Int32, _ sink: Int32) throws -> Void) throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        try body(ends[0], ends[1])
    }

    @Test func `a failure has the errno and the system's text`() throws {
        let error = #expect(throws: SystemError.self) { try SystemCall.open("/nowhere/file", O_RDONLY) }
        #expect(error == SystemError(ENOENT))
        #expect(error.map { "\($0)" } == "No such file or directory")
        #expect("\(SystemError(123_456))".contains("123456"))
    }

    @Test func `what is written is read, once, at an offset and to the end`() throws {
        var template = Array((NSTemporaryDirectory() + "/longtake-XXXXXX").utf8CString)
        let file = mkstemp(&template)
        try #require(file >= 0)
        unlink(template)
        defer { close(file) }
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        try SystemCall.writeAll(file, bytes)
        try SystemCall.sync(file)
        #expect(try SystemCall.status(file).st_size == 200_000)
        var part = [UInt8](repeating: 0, count: 1000)
        #expect(try part.withUnsafeMutableBytes { try SystemCall.read(file, $0, at: 199_500) } == 500)
        #expect(part.prefix(500).elementsEqual(bytes.suffix(500)))
        #expect(try part.withUnsafeMutableBytes { try SystemCall.read(file, $0) } == 0)
        lseek(file, 0, SEEK_SET)
        #expect(try SystemCall.contents(file, limit: 200_000) == bytes)
        lseek(file, 0, SEEK_SET)
        #expect(try SystemCall.contents(file, limit: 199_999) == nil)
    }

    /// Without SA_RESTART a signal interrupts a blocking read, which returns EINTR.
    @Test func `a read that a signal interrupts is restarted`() throws {
        try withPipe { source, sink in
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in }
            var before = sigaction()
            sigaction(SIGUSR2, &action, &before)
            defer { sigaction(SIGUSR2, &before, nil) }
            let reader = pthread_self()
            let thread = try BackgroundThread {
                for round in 0..<50 {
                    pthread_kill(reader, SIGUSR2)
                    usleep(1000)
                    if round == 40 { try? SystemCall.writeAll(sink, [1, 2, 3]) }
                }
            }
            var buffer = [UInt8](repeating: 0, count: 8)
            #expect(try buffer.withUnsafeMutableBytes { try SystemCall.read(source, $0) } == 3)
            thread.join()
        }
    }

    @Test func `all bytes are written to a pipe that takes them in parts`() throws {
        try withPipe { source, sink in
            let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }
            let thread = try BackgroundThread { try? SystemCall.writeAll(sink, bytes) }
            var got: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while got.count < bytes.count {
                let count = try buffer.withUnsafeMutableBytes { try SystemCall.read(source, $0) }
                got += buffer.prefix(count)
            }
            thread.join()
            #expect(got == bytes)
        }
    }

    @Test func `the names in a folder are bytes, without the folder itself and its parent`() throws {
        var template = Array((NSTemporaryDirectory() + "/longtake-XXXXXX").utf8CString)
        try #require(mkdtemp(&template) != nil)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let names: [[UInt8]] = [[0x61], [0x2E, 0x62], [0xFF, 0xFE], [0x2E, 0x2E, 0x2E]]
        for name in names {
            let path = Array(folder.utf8) + [0x2F] + name
            close(try SystemCall.open(path.map { CChar(bitPattern: $0) } + [0], O_CREAT | O_WRONLY))
        }
        defer {
            for name in names { unlink((Array(folder.utf8) + [0x2F] + name).map { CChar(bitPattern: $0) } + [0]) }
            rmdir(folder)
        }
        #expect(try Set(SystemCall.names(in: folder)) == Set(names))
        #expect(throws: SystemError(ENOENT)) { try SystemCall.names(in: folder + "/missing") }
    }

    @Test func `a thread blocks all signals`() throws {
        let isBlocked = Mutex(false)
        let thread = try BackgroundThread(stackSize: 1 << 20) {
            var mask = sigset_t()
            pthread_sigmask(SIG_SETMASK, nil, &mask)
            let found = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1
            isBlocked.withLock { $0 = found }
        }
        thread.join()
        #expect(isBlocked.withLock { $0 })
    }

    /// A stack that is too small is an error, not ignored.
    @Test func stackSizeIsChecked() {
        #expect(throws: SystemError(EINVAL)) { try BackgroundThread(stackSize: 1) {} }
    }
}
