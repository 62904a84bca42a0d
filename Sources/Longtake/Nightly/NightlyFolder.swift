internal import Foundation
internal import Glibc
internal import SystemCalls

/// A folder of systemd units, with the nightly jobs in it.
package struct NightlyFolder: Sendable {
    /// What `install` did.
    package struct Installed: Sendable, Encodable {
        /// Absolute paths of the service and the timer.
        package let units: [String]
        /// False if the same units were there already.
        package let isChanged: Bool
        /// True if systemd has started the timer.
        package let isActive: Bool
        /// Remarks, one sentence each.
        package let notes: [String]

        private enum CodingKeys: String, CodingKey {
            case units, notes
            case isChanged = "changed"
            case isActive = "active"
        }
    }

    /// Largest unit file that is read, in bytes.
    private static let maxBytes = 1 << 20

    /// Absolute path of the folder.
    package let path: String
    /// Whose units are in the folder.
    package let scope: NightlyJob.Scope
    /// nil for a folder that systemd does not read.
    private let systemctl: Systemctl?

    /// The folder with the units of a scope.
    ///
    /// - Parameter path: another folder than the one that systemd reads; systemd is not told about it.
    package init(_ scope: NightlyJob.Scope, path: String? = nil, environment: [String: String]) {
        self.scope = scope
        systemctl = path == nil ? Systemctl(scope: scope) : nil
        if let path {
            self.path = InputPath(path).absolute.description
        } else if scope == .system {
            self.path = "/etc/systemd/system"
        } else {
            let home = environment["HOME"] ?? NSHomeDirectory()
            let base = environment["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? home + "/.config"
            self.path = base + "/systemd/user"
        }
    }

    private func file(_ name: String) -> String { path + "/" + name }
    private func link(_ timer: String) -> String { "\(path)/timers.target.wants/\(timer)" }
    private func isThere(_ path: String) -> Bool { (try? SystemCall.linkStatus(of: path)) != nil }

    // MARK: - Installing

    /// Writes a job's units, enables its timer, and lets systemd read them if it runs.
    ///
    /// - Parameter replacing: overwrite units of the same name that have another content.
    /// - Throws: `Failure` `unit_exists` if there is another unit of the name, `cannot_write`.
    package func install(_ job: NightlyJob, replacing: Bool = false) throws -> Installed {
        let files = [(file(job.service), job.serviceText), (file(job.timer), job.timerText)]
        let changed = files.filter { text(of: $0.0) != $0.1 }
        if !replacing, let other = changed.first(where: { isThere($0.0) }) {
            throw Failure(
                code: "unit_exists", message: "\(other.0) exists with another content; nothing was written",
                exitCode: Exit.usage, remedy: .replaceUnit)
        }
        for (file, text) in changed { try write(text, to: file) }
        let isNew = try enable(job.timer)
        var notes: [String] = []
        var isActive = false
        if let systemctl {
            let problem = systemctl.failure(of: [["daemon-reload"], ["restart", job.timer]])
            isActive = problem == nil
            if let problem {
                notes.append("systemd was not told (\(problem)); the timer starts when systemd does")
            }
        }
        return Installed(
            units: files.map(\.0), isChanged: !changed.isEmpty || isNew, isActive: isActive, notes: notes)
    }

    /// The text of a regular file; nil for anything else.
    private func text(of file: String) -> String? {
        guard let status = try? SystemCall.linkStatus(of: file), status.st_mode & S_IFMT == S_IFREG,
            let descriptor = try? SystemCall.open(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW)
        else { return nil }
        defer { close(descriptor) }
        guard let bytes = try? SystemCall.contents(descriptor, limit: Self.maxBytes) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Replaces a file at once: temporary file, flush, rename.
    private func write(_ text: String, to file: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw ThumbnailFolder.cannotCreate(path)
        }
        let temporary = "\(file).\(getpid()).tmp"
        do {
            unlink(temporary)
            let descriptor = try SystemCall.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
            defer { close(descriptor) }
            try SystemCall.writeAll(descriptor, Array(text.utf8))
            try SystemCall.sync(descriptor)
            guard rename(temporary, file) == 0 else { throw SystemError.last }
        } catch {
            unlink(temporary)
            throw Failure.cannotWrite(file, reason: "\(error)")
        }
    }

    /// Links the timer into `timers.target.wants` as `systemctl enable` does; returns false if it was there.
    private func enable(_ timer: String) throws -> Bool {
        let link = link(timer)
        if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link), target == "../" + timer {
            return false
        }
        let folder = path + "/timers.target.wants"
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw ThumbnailFolder.cannotCreate(folder)
        }
        unlink(link)
        guard symlink("../" + timer, link) == 0 else {
            throw Failure.cannotWrite(link, reason: "\(SystemError.last)")
        }
        return true
    }

    // MARK: - Reading

    /// The jobs in this folder, sorted by name; empty if there is no folder.
    package func jobs() -> [NightlyStatus] {
        let names = ((try? SystemCall.names(in: path)) ?? []).map { String(decoding: $0, as: UTF8.self) }
        return names.sorted().compactMap { file in
            guard file.hasPrefix("longtake-"), file.hasSuffix(".timer"),
                let text = text(of: self.file(file)), let mark = NightlyJob.Mark(of: text),
                file == "longtake-\(mark.name).timer"
            else { return nil }
            return NightlyStatus(
                mark, scope: systemctl == nil ? mark.scope : scope,
                units: [self.file("longtake-\(mark.name).service"), self.file(file)],
                isEnabled: isThere(link(file)), systemctl: systemctl)
        }
    }

    // MARK: - Removing

    /// Stops a job's timer and removes its units; a run that is in progress goes on to its end.
    ///
    /// - Returns: the removed files.
    /// - Throws: `Failure` `not_installed` if there is no such job, `unit_exists` if a unit of the name is not a job's,
    ///   `cannot_write`.
    package func remove(_ name: String) throws -> [String] {
        let (service, timer) = ("longtake-\(name).service", "longtake-\(name).timer")
        let files = NightlyJob.isName(name) ? [file(timer), file(service)].filter(isThere) : []
        guard !files.isEmpty else {
            throw Failure(
                code: "not_installed", message: "no nightly job \"\(name)\" in \(path)", exitCode: Exit.noCache)
        }
        if let other = files.first(where: { text(of: $0).flatMap { NightlyJob.Mark(of: $0) }?.name != name }) {
            throw Failure(
                code: "unit_exists", message: "\(other) was not written by this program; remove it yourself",
                exitCode: Exit.usage)
        }
        _ = systemctl?.run(["stop", timer])
        // systemd's file with the time of the last start.
        _ = systemctl?.run(["clean", "--what=state", timer])
        for file in [link(timer)] + files {
            if unlink(file) == 0 || errno == ENOENT { continue }
            throw Failure(
                code: "cannot_write", message: "\(file): cannot remove: \(SystemError.last)", exitCode: Exit.space)
        }
        _ = systemctl?.run(["daemon-reload"])
        return files.sorted()
    }
}
