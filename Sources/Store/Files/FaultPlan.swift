import Glibc
import Synchronization

/// Makes system calls below one folder fail: tests use it to simulate a full, broken or read-only disk.
///
/// It can also record the calls, so that tests can check what a power failure would leave.
package final class FaultPlan: Sendable {
    /// The system calls that can be made to fail.
    package enum Operation: String, Sendable, CaseIterable { case open, write, sync, rename, link, unlink, mkdir }

    /// A call that changed the disk or flushed part of it; directories are synced like files.
    package enum Event: Sendable, Equatable {
        /// A new file.
        case create(String)
        /// Bytes appended to what was written before.
        case write(String, [UInt8])
        /// An fsync of a file or directory.
        case sync(String)
        /// A rename from the first path to the second.
        case rename(String, String)
        /// A hard link from the first path to the second.
        case link(String, String)
        /// Removal of a file or of an empty directory.
        case unlink(String)
        /// A new directory.
        case mkdir(String)

        var path: String {
            switch self {
            case .create(let path), .write(let path, _), .sync(let path), .unlink(let path), .mkdir(let path),
                .rename(let path, _), .link(let path, _):
                path
            }
        }
    }

    /// What happens to a call.
    package enum Effect: Sendable, Equatable {
        /// The call fails with this errno.
        case error(Int32)
        /// The call transfers half of the bytes it was given.
        case short
    }

    private struct State {
        var counts: [Operation: Int] = [:]
        var trace: [Event] = []
    }

    private let folder: String
    private let operation: Operation?
    private let number: Int
    private let effect: Effect
    private let isSticky: Bool
    private let records: Bool
    private let state = Mutex(State())

    private static let plans = Mutex<[FaultPlan]>([])
    private static let isArmed = Atomic<Bool>(false)

    /// True if a plan is recording events.
    static var isRecording: Bool {
        isArmed.load(ordering: .relaxed) && plans.withLock { $0.contains { $0.records } }
    }

    /// Affects call `number` (0 is the first) of `operation` below `folder`, or with `sticky` that call and all later
    /// ones.
    ///
    /// Without an operation the plan only counts calls.
    package init(
        below folder: String, operation: Operation? = nil, number: Int = 0, effect: Effect = .short,
        sticky: Bool = false
    ) {
        self.folder = folder
        self.operation = operation
        self.number = number
        self.effect = effect
        isSticky = sticky
        records = false
    }

    /// Records the calls below `folder`.
    package init(recording folder: String) {
        self.folder = folder
        (operation, number, effect, isSticky, records) = (nil, 0, .short, false, true)
    }

    /// The events recorded so far.
    package var trace: [Event] { state.withLock { $0.trace } }

    static func note(_ event: @autoclosure () -> Event) {
        guard isRecording else { return }
        let event = event()
        for plan in plans.withLock({ $0 }) where plan.records && event.path.hasPrefix(plan.folder) {
            plan.state.withLock { $0.trace.append(event) }
        }
    }

    /// Returns how often `operation` has been called so far.
    package func count(_ operation: Operation) -> Int { state.withLock { $0.counts[operation] ?? 0 } }

    /// Runs `body` with the plan active in all threads of the process.
    package func during<Value>(_ body: () throws -> Value) rethrows -> Value {
        FaultPlan.plans.withLock { $0.append(self) }
        FaultPlan.isArmed.store(true, ordering: .sequentiallyConsistent)
        defer {
            FaultPlan.plans.withLock { plans in
                plans.removeAll { $0 === self }
                FaultPlan.isArmed.store(!plans.isEmpty, ordering: .sequentiallyConsistent)
            }
        }
        return try body()
    }

    /// Returns what should happen to this call; nil if no plan applies.
    static func effect(_ operation: Operation, _ path: String) -> Effect? {
        guard isArmed.load(ordering: .relaxed) else { return nil }
        let found = plans.withLock { $0.filter { path.hasPrefix($0.folder) } }
        return found.compactMap { $0.effect(of: operation) }.first
    }

    /// Counts a call and returns what should happen to it.
    private func effect(of called: Operation) -> Effect? {
        let call = state.withLock { state in
            let call = state.counts[called] ?? 0
            state.counts[called] = call + 1
            return call
        }
        guard called == operation, isSticky ? call >= number : call == number else { return nil }
        return effect
    }
}

/// Points at which a test can kill the process.
///
/// LONGTAKE_CRASH_AT=<point> or <point>:<n> kills it with SIGKILL the n-th time the point is reached.
enum CrashPoint: String, CaseIterable {
    case recordWritten = "record-written"
    case footerWritten = "footer-written"
    case fileSynced = "file-synced"
    case fileVerified = "file-verified"
    case patchesLinked = "patches-linked"
    case segmentLinked = "segment-linked"
    case folderSynced = "folder-synced"
    case manifestDropped = "manifest-dropped"
    case manifestWritten = "manifest-written"
    case manifestRenamed = "manifest-renamed"
    case sampleLinked = "sample-linked"
    case patchesRemoved = "patches-removed"
    case setAside = "set-aside"
    case buried = "buried"
    case answersRecorded = "answers-recorded"
    case answersAppended = "answers-appended"

    private static let plan: (point: String, number: Int)? = {
        guard let text = getenv("LONGTAKE_CRASH_AT") else { return nil }
        let parts = String(cString: text).split(separator: ":")
        return parts.first.map { (String($0), parts.count > 1 ? Int(parts[1]) ?? 1 : 1) }
    }()
    private static let count = Atomic<Int>(0)

    static func reach(_ point: CrashPoint) {
        guard let plan, plan.point == point.rawValue else { return }
        if count.add(1, ordering: .relaxed).newValue == plan.number { kill(getpid(), SIGKILL) }
    }
}
