package import Foundation

/// A nightly job as it is installed: when it runs next, and how its last run ended.
package struct NightlyStatus: Sendable, Encodable {
    /// What the job does now.
    package enum State: String, Sendable, Encodable {
        /// The pipeline is running.
        case running
        /// The timer waits for the next start.
        case waiting
        /// systemd runs, but the timer is not active.
        case stopped
        /// systemd cannot be asked; the timer starts with it.
        case enabled
        /// systemd cannot be asked; the timer does not start with it.
        case disabled
    }

    /// A run, as systemd remembers it since the last start of the machine.
    package struct Run: Sendable, Encodable {
        /// When the run started.
        package let start: Date?
        /// When the run ended; nil while it runs, or if systemd does not remember.
        package let end: Date?
        /// The exit status, or the number of the signal; nil if the run did not end since the machine started.
        package let status: Int?
        /// systemd's word for the result: success, exit-code, signal, timeout, oom-kill and others.
        package let result: String?

        private enum CodingKeys: String, CodingKey {
            case start, end, result
            case status = "exit_status"
        }

        /// Encodes times as RFC 3339.
        package func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: CodingKeys.self)
            try values.encodeIfPresent(start?.formatted(.iso8601), forKey: .start)
            try values.encodeIfPresent(end?.formatted(.iso8601), forKey: .end)
            try values.encodeIfPresent(status, forKey: .status)
            try values.encodeIfPresent(result, forKey: .result)
        }
    }

    /// Name of the job.
    package let name: String
    /// Whose systemd runs the job.
    package let scope: NightlyJob.Scope
    /// The time of day it starts at.
    package let time: String
    /// Absolute path of the pipeline's file.
    package let pipeline: String
    /// What the job does now.
    package let state: State
    /// The next start; nil if the timer is stopped or disabled.
    package let next: Date?
    /// The last run; nil if there was none.
    package let last: Run?
    /// Absolute paths of the service and the timer.
    package let units: [String]

    private enum CodingKeys: String, CodingKey {
        case name, scope, pipeline, state, next, last, units
        case time = "at"
    }

    /// Encodes times as RFC 3339.
    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        try values.encode(scope, forKey: .scope)
        try values.encode(time, forKey: .time)
        try values.encode(pipeline, forKey: .pipeline)
        try values.encode(state, forKey: .state)
        try values.encodeIfPresent(next?.formatted(.iso8601), forKey: .next)
        try values.encodeIfPresent(last, forKey: .last)
        try values.encode(units, forKey: .units)
    }

    /// Reads the state of a job from systemd, or from its files if systemd cannot be asked.
    ///
    /// - Parameters:
    ///   - isEnabled: whether the timer starts with systemd.
    ///   - systemctl: nil for a folder that systemd does not read.
    init(_ mark: NightlyJob.Mark, scope: NightlyJob.Scope, units: [String], isEnabled: Bool, systemctl: Systemctl?) {
        (name, self.scope, time, pipeline) = (mark.name, scope, mark.at, mark.pipeline)
        self.units = units
        let names = units.map { URL(fileURLWithPath: $0).lastPathComponent }
        guard let systemctl, let timer = names.last, let service = names.first,
            let clock = systemctl.properties(["ActiveState", "NextElapseUSecRealtime", "LastTriggerUSec"], of: timer)
        else {
            state = isEnabled ? .enabled : .disabled
            next = isEnabled ? TimeOfDay(mark.at)?.next(after: Date()) : nil
            last = nil
            return
        }
        let run =
            systemctl.properties(
                ["ActiveState", "Result", "ExecMainStatus", "ExecMainStartTimestamp", "ExecMainExitTimestamp"],
                of: service) ?? [:]
        let isRunning = ["activating", "deactivating", "active"].contains(run["ActiveState"])
        let isWaiting = clock["ActiveState"] == "active"
        state = isRunning ? .running : isWaiting ? .waiting : .stopped
        next = isWaiting ? Systemctl.date(clock["NextElapseUSecRealtime"]) : nil
        let end = isRunning ? nil : Systemctl.date(run["ExecMainExitTimestamp"])
        // After a start of the machine only the timer remembers.
        let start = Systemctl.date(run["ExecMainStartTimestamp"]) ?? Systemctl.date(clock["LastTriggerUSec"])
        last = start.map {
            Run(
                start: $0, end: end, status: end == nil ? nil : run["ExecMainStatus"].flatMap { Int($0) },
                result: end == nil ? nil : run["Result"])
        }
    }
}
