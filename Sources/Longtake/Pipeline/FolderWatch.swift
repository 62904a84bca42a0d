internal import Glibc
internal import SystemCalls

/// Waits until something changes in folders, or for a while: some file systems, such as network mounts, report no
/// changes.
final class FolderWatch {
    /// Most folders that are watched; the others are found by looking again.
    private static let mostFolders = 4096
    private let descriptor: Int32
    private var watched: Set<InputPath> = []

    /// Starts without folders; where inotify is not available it only waits.
    init() { descriptor = inotify_init1(O_NONBLOCK | O_CLOEXEC) }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Watches these folders too.
    func add(_ folders: [InputPath]) {
        guard descriptor >= 0 else { return }
        let mask = UInt32(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_ONLYDIR)
        for folder in folders where watched.count < Self.mostFolders && !watched.contains(folder) {
            let number = folder.withCString { inotify_add_watch(descriptor, $0, mask) } ?? -1
            if number >= 0 { watched.insert(folder) }
        }
    }

    /// Returns after a change, after `seconds`, or when cancelled.
    ///
    /// - Throws: `LongtakeError` `interrupted`.
    func wait(_ seconds: Double, _ cancellation: Cancellation) throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            try cancellation.check()
            // In steps of 200 ms: a signal between the check and poll(2) would otherwise be lost.
            guard descriptor >= 0 else {
                usleep(200_000)
                continue
            }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if poll(&waiting, 1, 200) > 0 {
                drain()
                return
            }
        }
    }

    private func drain() {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while buffer.withUnsafeMutableBytes({ read(descriptor, $0.baseAddress, $0.count) }) > 0 {}
        // A folder that was removed and made again has another inode: all are added again, which costs little.
        watched = []
    }
}
