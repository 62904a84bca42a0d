internal import Foundation
internal import Glibc
internal import SystemCalls

/// Runs a pipeline on recordings as they are finished, until cancelled.
package struct PipelineWatcher {
    /// F_SETLEASE of fcntl(2), which Glibc's headers have only as a GNU extension.
    private static let setLease: Int32 = 1024
    private let runner: PipelineRunner
    private let find: () throws -> InputWalker
    private let interval: Double
    private let cancellation: Cancellation

    /// - Parameters:
    ///   - runner: does the work; its options' minimum age decides when a file is finished.
    ///   - interval: seconds after which the folders are looked at even if no change was reported.
    ///   - find: lists the recordings of the inputs.
    package init(
        _ runner: PipelineRunner, interval: Double, cancellation: Cancellation, find: @escaping () throws -> InputWalker
    ) {
        self.runner = runner
        self.interval = interval
        self.cancellation = cancellation
        self.find = find
    }

    /// Watches until cancelled; `event` gets each step, `done` the summary of each run that did something.
    ///
    /// - Throws: `LongtakeError` `interrupted` when cancelled; as `PipelineRunner.run`, but a pipeline that another run
    ///   holds is looked at again later.
    package func run(event: (BatchEvent) -> Void, done: (BatchSummary) -> Void) throws {
        let watch = FolderWatch()
        var known: Set<InputPath> = []
        while true {
            try cancellation.check()
            let walker = try find()
            watch.add(walker.folders)
            let ready = try runner.pending(walker.files).filter { !Self.isBeingWritten($0) }
            if !ready.isEmpty {
                do {
                    done(try runner.run(InputWalker(ready), event: event))
                } catch let failure as Failure where failure.code == "locked" {
                    if known.insert(ready[0]).inserted { event(.note(failure.message)) }
                }
            }
            try watch.wait(interval, cancellation)
        }
    }

    /// Whether a process has the file open for writing; false where the system does not tell.
    static func isBeingWritten(_ file: InputPath) -> Bool {
        guard let descriptor = try? file.open(O_RDONLY | O_NONBLOCK | O_CLOEXEC) else { return false }
        defer { close(descriptor) }
        // A read lease is refused while the file is open for writing, on local file systems and for the file's owner.
        let leased = fcntl(descriptor, setLease, F_RDLCK)
        let number = errno
        if leased == 0 { _ = fcntl(descriptor, setLease, F_UNLCK) }
        return leased != 0 && number == EAGAIN
    }
}
