import Glibc
import Synchronization

/// System calls that are made to fail, below one folder: how the tests see a disk that is full, broken or read-only.
///
/// Or that are written down, which is how they see what a power cut would leave.
package final class FaultPlan: Sendable {
    package enum Operation: String, Sendable, CaseIterable { case open, write, sync, rename, link, unlink, mkdir }

    /// A call that changed the disk or flushed a part of it; directories are synced like files.
    package enum Event: Sendable, Equatable {
        case create(String)
        /// Behind what was written before.
        case write(String, [UInt8])
        case sync(String)
        case rename(String, String)
        case link(String, String)
        /// A file, or a directory that was empty.
        case unlink(String)
        case mkdir(String)

        var path: String {
            switch self {
            case .create(let path), .write(let path, _), .sync(let path), .unlink(let path), .mkdir(let path),
                .rename(let path, _), .link(let path, _):
                path
            }
        }
    }

    package enum Effect: Sendable, Equatable {
        /// The call fails with this errno.
        case error(Int32)
        /// The call transfers half of what it was given.
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

    /// Whether a plan wants to know what happens.
    static var isRecording: Bool {
        isArmed.load(ordering: .relaxed) && plans.withLock { $0.contains { $0.records } }
    }

    /// From the call `number` on (0 is the first) of `operation` below `folder`: once, or `sticky` for ever after.
    ///
    /// Without an operation it only counts.
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

    /// Writes down what is done below `folder`.
    package init(recording folder: String) {
        self.folder = folder
        (operation, number, effect, isSticky, records) = (nil, 0, .short, false, true)
    }

    /// What was done so far.
    package var trace: [Event] { state.withLock { $0.trace } }

    static func note(_ event: @autoclosure () -> Event) {
        guard isRecording else { return }
        let event = event()
        for plan in plans.withLock({ $0 }) where plan.records && event.path.hasPrefix(plan.folder) {
            plan.state.withLock { $0.trace.append(event) }
        }
    }

    /// How often each operation was called so far.
    package func count(_ operation: Operation) -> Int { state.withLock { $0.counts[operation] ?? 0 } }

    /// Runs `body` with the plan in force, in all threads of the process.
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

    /// What is to happen to this call; nil where no plan says anything.
    static func effect(_ operation: Operation, _ path: String) -> Effect? {
        guard isArmed.load(ordering: .relaxed) else { return nil }
        let found = plans.withLock { $0.filter { path.hasPrefix($0.folder) } }
        return found.compactMap { $0.meet(operation) }.first
    }

    private func meet(_ called: Operation) -> Effect? {
        let place = state.withLock { state in
            let place = state.counts[called] ?? 0
            state.counts[called] = place + 1
            return place
        }
        guard called == operation, isSticky ? place >= number : place == number else { return nil }
        return effect
    }
}

/// Places where a test wants the process gone: LONGTAKE_CRASH_AT=<point> or <point>:<n> ends it by SIGKILL at the n-th time.
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

    private static let plan: (point: String, number: Int)? = {
        guard let text = getenv("LONGTAKE_CRASH_AT") else { return nil }
        let words = String(cString: text).split(separator: ":")
        return words.first.map { (String($0), words.count > 1 ? Int(words[1]) ?? 1 : 1) }
    }()
    private static let count = Atomic<Int>(0)

    static func reach(_ point: CrashPoint) {
        guard let plan, plan.point == point.rawValue else { return }
        if count.add(1, ordering: .relaxed).newValue == plan.number { kill(getpid(), SIGKILL) }
    }
}
