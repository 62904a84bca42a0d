import Foundation

/// The size of the long tests: `make test-long` sets LONGTAKE_LONG to a percentage.
public enum LongRun {
    private static let percentage = ProcessInfo.processInfo.environment["LONGTAKE_LONG"].flatMap(Int.init)

    /// That percentage of `whole`, at least 1; nil in an ordinary run.
    public static func count(of whole: Int) -> Int? { percentage.map { max(1, whole * $0 / 100) } }

    /// True if the long tests run at full size.
    public static var isWhole: Bool { percentage ?? 0 >= 100 }
}
