internal import Foundation
internal import Glibc
internal import Hub
internal import Store
internal import Synchronization
internal import SystemCalls

/// Sends a pipeline's findings on a thread of its own, each at most once; what cannot be sent is tried by later runs.
///
/// A finding is marked before it is sent. If the program is killed while it is sent, nobody knows whether it arrived,
/// and it is not sent again.
final class AlertSender: Sendable {
    /// Seconds until a finding that failed twice is tried again, then doubled each time, and how often it is tried.
    private static let firstPause = 60.0
    private static let mostTries: Int64 = 12

    private let catalog: Catalog
    private let pipeline: String
    private let alerts: [String: PipelineAlert]
    private let queue = Mutex(Queue())
    private let thread = Mutex<BackgroundThread?>(nil)

    private struct Queue {
        var waiting: [Catalog.AlertRow] = []
        var isEnding = false
        /// The receivers whose last try took long, whether it succeeded or not.
        var slow: Set<String> = []
    }

    /// The position of the finding to send next: a slow receiver does not delay the others.
    private func next(of queue: Queue) -> Int? {
        queue.waiting.firstIndex { !isSlow($0, queue) } ?? queue.waiting.indices.first
    }

    private func isSlow(_ row: Catalog.AlertRow, _ queue: Queue) -> Bool {
        alerts[row.alert].map { queue.slow.contains($0.receiver) } ?? false
    }

    /// Longer than this is slow, in seconds.
    private static let slow = 2.0

    /// Loads what earlier runs left, and starts the thread if the pipeline has alerts.
    init(_ file: PipelineFile, catalog: Catalog) throws {
        self.catalog = catalog
        pipeline = file.identity
        alerts = Dictionary(file.alerts.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        guard !alerts.isEmpty else { return }
        let now = Int64(time(nil))
        var due: [Catalog.AlertRow] = []
        for var row in try catalog.alerts(pipeline: pipeline, states: ["pending", "sending"]) {
            if row.state == "sending" {
                row.state = "failed"
                row.error = "the run was killed while it was sent; it may have arrived"
                try catalog.set(alert: row)
            } else if row.next <= now {
                due.append(row)
            }
        }
        queue.withLock { $0.waiting = due }
        thread.withLock { $0 = try? BackgroundThread { [self] in work() } }
    }

    /// Sends findings that are in the catalog as pending.
    func send(_ rows: [Catalog.AlertRow]) {
        guard !rows.isEmpty else { return }
        queue.withLock { $0.waiting += rows }
    }

    /// Waits until what is being sent is sent, and what waits, for at most `seconds`; the rest stays for the next run.
    ///
    /// A slow receiver is not waited for, except for what is being sent.
    func finish(waiting seconds: Double) {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end,
            queue.withLock({ queue in queue.waiting.contains { !isSlow($0, queue) } })
        { usleep(20_000) }
        queue.withLock { $0.isEnding = true }
        thread.withLock {
            $0?.join()
            $0 = nil
        }
    }

    private func work() {
        while true {
            let (row, isEnding) = queue.withLock { queue in
                (queue.isEnding ? nil : next(of: queue).map { queue.waiting[$0] }, queue.isEnding)
            }
            guard let row else {
                if isEnding { return }
                usleep(20_000)
                continue
            }
            let start = ContinuousClock.now
            send(row)
            let isSlow = (ContinuousClock.now - start).seconds > Self.slow
            queue.withLock { queue in
                if let receiver = alerts[row.alert]?.receiver {
                    if isSlow { queue.slow.insert(receiver) } else { queue.slow.remove(receiver) }
                }
                queue.waiting.firstIndex { $0.key == row.key && $0.alert == row.alert }.map {
                    _ = queue.waiting.remove(at: $0)
                }
            }
        }
    }

    private func send(_ row: Catalog.AlertRow) {
        guard let alert = alerts[row.alert] else { return }
        var row = row
        // A finding that another answer's transaction already knew was sent before.
        let known = try? catalog.alert(pipeline: pipeline, key: row.key, alert: row.alert)
        guard let known, known.state == "pending" else { return }
        row = known
        row.state = "sending"
        guard (try? catalog.set(alert: row)) != nil else { return }
        let problem = Self.problem(of: alert, row)
        row.error = problem
        if problem == nil {
            row.state = "sent"
        } else {
            row.tries += 1
            row.state = row.tries < Self.mostTries ? "pending" : "failed"
            // The first failure is tried again by the next run, whenever that is.
            let pause = row.tries == 1 ? 0 : Self.firstPause * pow(2, Double(row.tries - 2))
            row.next = Int64(time(nil)) + Int64(saturating: pause)
        }
        try? catalog.set(alert: row)
    }

    /// Sends a finding; returns why it was not sent, nil if it was.
    private static func problem(of alert: PipelineAlert, _ row: Catalog.AlertRow) -> String? {
        switch alert.action {
        case .command(let words):
            return AlertCommand.problem(of: words, input: row.payload + "\n", timeout: alert.timeout)
        case .webhook(let webhook):
            do {
                let status = try webhook.post(
                    row.payload, headers: ["Idempotency-Key: \(row.key)-\(row.alert)"],
                    environment: ProcessInfo.processInfo.environment)
                return (200..<300).contains(status) ? nil : "\(webhook.url): HTTP status \(status)"
            } catch {
                return Failure(error).message
            }
        }
    }
}
