internal import Glibc

/// A part of the work that `SectionTimer` distinguishes.
public enum WorkSection: Int, CaseIterable, Sendable {
    case waiting, patchify, patchEmbedding, visionNorms, visionAttention, visionMLP, frameEmbedding
    case compressor, projector, preFusionNorms, preFusionAttention, preFusionMLP, record
    case languageNorms, languageAttention, languageMLP, head

    /// The name in reports.
    public var name: String {
        switch self {
        case .waiting: "waiting for frames"
        case .patchify: "patchify"
        case .patchEmbedding: "patch embedding"
        case .visionNorms: "vision norms"
        case .visionAttention: "vision attention"
        case .visionMLP: "vision MLP"
        case .frameEmbedding: "frame embedding"
        case .compressor: "compressor"
        case .projector: "projector"
        case .preFusionNorms: "pre-fusion norms"
        case .preFusionAttention: "pre-fusion attention"
        case .preFusionMLP: "pre-fusion MLP"
        case .record: "frame record"
        case .languageNorms: "language norms"
        case .languageAttention: "language attention"
        case .languageMLP: "language MLP"
        case .head: "output head"
        }
    }
}

/// The time spent in each section of the work; the time of a nested section counts for that section only.
///
/// Belongs to the computing thread. Costs two readings of the clock per section.
public final class SectionTimer {
    private var nanoseconds = [Int64](repeating: 0, count: WorkSection.allCases.count)
    private var current: WorkSection?
    private var since: Int64 = 0

    /// A timer with all times 0.
    public init() {}

    /// Sets all times to 0.
    public func reset() {
        for index in nanoseconds.indices { nanoseconds[index] = 0 }
        since = Self.now()
    }

    /// The time of a section so far, in seconds.
    public func seconds(_ section: WorkSection) -> Double { Double(nanoseconds[section.rawValue]) * 1e-9 }

    /// Ends the current section and starts `section` (nil: none); returns the one that was current.
    func start(_ section: WorkSection?) -> WorkSection? {
        let now = Self.now()
        if let current { nanoseconds[current.rawValue] += now - since }
        defer { (current, since) = (section, now) }
        return current
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension Compute {
    /// Runs `body`; its time counts for `section` if there is a timer.
    public func timed<Value>(_ section: WorkSection, _ body: () throws -> Value) rethrows -> Value {
        guard let timer else { return try body() }
        let outer = timer.start(section)
        defer { _ = timer.start(outer) }
        return try body()
    }
}
