internal import Foundation

/// The text of the unit files.
extension NightlyJob {
    /// What a unit file says about the job it belongs to, as one line of JSON in a comment.
    struct Mark: Codable, Equatable {
        let at: String
        let name: String
        let pipeline: String
        let scope: Scope

        /// The beginning of the line.
        private static let prefix = "# longtake: "

        /// The line; nil if it cannot be encoded.
        var line: String? { (try? JSONText.line(self)).map { Self.prefix + $0 } }

        init(_ job: NightlyJob) {
            (at, name, pipeline, scope) = (job.time.description, job.name, job.pipeline, job.scope)
        }

        /// Reads the mark of a unit file; nil if it has none, since another program or a person wrote it.
        init?(of text: String) {
            guard let line = text.split(separator: "\n").prefix(5).first(where: { $0.hasPrefix(Self.prefix) }),
                let mark = try? JSONDecoder().decode(Self.self, from: Data(line.dropFirst(Self.prefix.count).utf8))
            else { return nil }
            self = mark
        }
    }

    private var head: String {
        """
        # Written by longtake nightly; to change a setting, add a drop-in (systemctl edit) instead of editing this file.
        \(Mark(self).line ?? "")
        """
    }

    /// The text of the service.
    package var serviceText: String {
        ([
            head, "[Unit]", "Description=Longtake: index new recordings and ask about them (\(name))", "", "[Service]",
            "Type=oneshot",
        ] + accountLines + [
            "ExecStart=" + UnitText.command(program, arguments),
            "# Some recordings failed, or the time limit was reached: the rest is done.", "SuccessExitStatus=3",
            "KillMode=mixed", "TimeoutStopSec=120", "Nice=10", "CPUWeight=20", "IOSchedulingClass=idle",
            "MemoryMax=90%", "",
        ] + hardening).joined(separator: "\n") + "\n"
    }

    /// The text of the timer.
    package var timerText: String {
        let seconds = time.second == 0 ? ":00" : ""
        return """
            \(head)
            [Unit]
            Description=Longtake: every day at \(time) (\(name))

            [Timer]
            OnCalendar=*-*-* \(time)\(seconds)
            # A night that the machine slept through is made up for.
            Persistent=true

            [Install]
            WantedBy=timers.target

            """
    }

    private var accountLines: [String] {
        guard let account else { return [] }
        let lines = ["User=" + UnitText.percentDoubled(account)]
        // Other accounts keep cache and catalog below their home folder, as they do at the shell.
        guard account == Self.packageAccount else { return lines }
        return lines + [
            "CacheDirectory=longtake", "StateDirectory=longtake", "CacheDirectoryMode=0750", "StateDirectoryMode=0750",
            "UMask=0027",
        ]
    }

    private var hardening: [String] {
        // A user's systemd may set up filters but no mount namespaces.
        Self.filters + (scope == .system ? Self.mounts + capabilities + temporaryFiles : [])
    }

    /// Settings that any service may have.
    ///
    /// - Not `MemoryDenyWriteExecute`: oneDNN generates code.
    /// - systemd 252 has neither seccomp(2) nor Landlock in `@system-service`; the decode worker needs both.
    /// - Networks are for webhooks; the decode worker has none in any case.
    static let filters = [
        "NoNewPrivileges=yes", "LockPersonality=yes", "RestrictNamespaces=yes", "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
        "SystemCallErrorNumber=EPERM",
    ]

    /// Settings for services of the machine.
    ///
    /// - Not `ProcSubset=pid`: memory and CPU are read from /proc.
    /// - Not `ProtectSystem=strict` here: answers are written where the pipeline says.
    private static let mounts = [
        "ProtectSystem=full", "PrivateDevices=yes", "ProtectClock=yes", "ProtectControlGroups=yes",
        "ProtectHostname=yes", "ProtectKernelLogs=yes", "ProtectKernelModules=yes", "ProtectKernelTunables=yes",
        "ProtectProc=invisible",
    ]

    private var capabilities: [String] {
        // Without them root could not read the recordings of others.
        [account == "root" ? "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH" : "CapabilityBoundingSet="]
    }

    /// A folder for temporary files of its own, unless the job uses files in the common one.
    private var temporaryFiles: [String] {
        let isCommon = ([program] + arguments).contains { $0.hasPrefix("/tmp/") || $0.hasPrefix("/var/tmp/") }
        return isCommon ? [] : ["PrivateTmp=yes"]
    }
}
