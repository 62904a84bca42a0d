import ArgumentParser
import Foundation
import Longtake

struct NightlyStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "List the nightly jobs: next run, last result.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake nightly status
              longtake nightly status --json | jq -r '.[] | select(.last.exit_status != 0) | .name'

            STATE: running, waiting (for NEXT), stopped (the timer is not active); if systemd cannot be asked: enabled (the timer \
            starts with systemd) or disabled. RESULT is what systemd remembers since the machine started; \
            `journalctl -u longtake-NAME` has the output.
            """))

    @Argument(help: "Names of jobs; all by default.")
    var names: [String] = []

    @OptionGroup var units: NightlyOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        Interruption.endAtOnce()
        let scopes = units.named.map { [$0] } ?? (units.unitDir == nil ? [.user, .system] : [.system])
        let all = scopes.flatMap { units.folder($0).jobs() }
        for name in names where !all.contains(where: { $0.name == name }) {
            throw Failure(
                code: "not_installed", message: "no nightly job \"\(name)\"", exitCode: Exit.noCache)
        }
        let jobs = names.isEmpty ? all : all.filter { names.contains($0.name) }
        if output.json { return Console.json(jobs) }
        if output.isQuiet { return jobs.forEach { Console.line($0.name) } }
        guard !jobs.isEmpty else {
            return output.note("no nightly jobs yet: run `longtake nightly install FILE --at 02:00`")
        }
        let head = ["NAME", "SCOPE", "AT", "STATE", "NEXT", "LAST", "RESULT", "PIPELINE"]
        let rows = jobs.map {
            [
                $0.name, $0.scope.rawValue, $0.time, $0.state.rawValue, $0.next.map(NightlyTime.text) ?? "-",
                $0.last?.start.map(NightlyTime.text) ?? "-", Self.result($0), Console.name($0.pipeline),
            ]
        }
        Console.line(Format.table([head] + rows))
    }

    /// The last run's result in a few words.
    private static func result(_ job: NightlyStatus) -> String {
        guard let last = job.last, let status = last.status, let result = last.result else { return "-" }
        switch (result, Int32(exactly: status)) {
        case ("success", 0): return "done"
        case ("success", Exit.partial): return "partly done"
        case ("exit-code", _): return "failed with status \(status)"
        default: return Console.name(result)
        }
    }
}
