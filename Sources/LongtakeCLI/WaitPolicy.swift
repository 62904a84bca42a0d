import Glibc

/// How the threads of the large products wait for each other.
///
/// By default OpenMP's threads spin for milliseconds before they sleep, on cores that the decode worker could use. Its library reads
/// the environment before `main`, so the program has to begin again with `OMP_WAIT_POLICY` set, which takes 0.05 s: worth it
/// for long work only. Indexing 3 hours in 480×360 with the bundled model on 2 cores: 40 s spinning, 30 s not.
enum WaitPolicy {
    private static let variable = "OMP_WAIT_POLICY"
    private static let longCommands: Set<String> = ["index", "run"]

    /// Begins the program again where it is to work long and nobody has set how threads wait; a failure changes nothing.
    static func applyIfLong() {
        guard let command = CommandLine.arguments.dropFirst().first(where: { !$0.hasPrefix("-") }),
            longCommands.contains(command), getenv(variable) == nil, getenv("GOMP_SPINCOUNT") == nil,
            let path = realpath("/proc/self/exe", nil)
        else { return }
        defer { free(path) }
        if setenv(variable, "passive", 1) == 0 { execv(path, CommandLine.unsafeArgv) }
    }
}
