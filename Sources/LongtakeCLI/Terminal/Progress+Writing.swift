extension OutputOptions {
    /// Runs what writes large files, and shows the bytes that it reports.
    ///
    /// - Parameter body: its argument takes the bytes done and to do, and throws if the program was interrupted.
    func showingBytes<Result>(
        _ body: (_ report: (_ done: Int64, _ total: Int64) throws -> Void) throws -> Result
    ) throws -> Result {
        let (progress, start) = (self.progress, ContinuousClock.now)
        defer { progress.clear() }
        return try body { done, total in
            try Interruption.check()
            progress.show(bytes: done, of: total, since: start)
        }
    }
}
