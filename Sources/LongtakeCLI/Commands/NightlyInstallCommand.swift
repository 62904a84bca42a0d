import ArgumentParser
import Foundation
import Glibc
import Longtake

struct NightlyInstallCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "install", abstract: "Write and start the units that run a pipeline every night.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake nightly install nightly.yaml --at 02:00 --max-runtime 5h
              sudo longtake nightly install /srv/cameras.yaml --at 22:30 --model /srv/models/llava-mini
              longtake nightly install nightly.yaml --at 02:00 --unit-dir units      only look at them

            The pipeline and the model are checked first; later changes of the pipeline's file need no new installation. The \
            model, cache and catalog that the options or the environment name are written into the service. --system runs \
            the job as the user `longtake`, if the Debian package has created it, else as root; --run-as names another.
            """))

    @Argument(help: "The pipeline's YAML file.", completion: .file(extensions: ["yaml", "yml"]))
    var pipeline: String

    @Option(help: "Start at this time of day: 02:00 or 22:30:15, in the machine's time zone.", completion: .list([]))
    var at: String

    @Option(
        .maxRuntime,
        "Stop after this time; the next night continues from there. 90, 10m, 5h; unlimited by default.")
    var maxRuntime: String?

    @Option(
        .model, "Folder of the model, or the name of a downloaded one; not needed if the pipeline names its model.",
        completion: .directory)
    var model: String?

    @Option(help: "Name of the job; by default that of the pipeline's file, without its suffix.")
    var name: String?

    @Option(help: "With --system: the user that the job runs as.")
    var runAs: String?

    @Flag(help: "Replace units of this name that have another content.")
    var force = false

    @Option(.cacheDir, "Folder of the frame cache.", completion: .directory)
    var cacheDir: String?

    @Option(.dataDir, "Folder of the catalog.", completion: .directory)
    var dataDir: String?

    @OptionGroup var units: NightlyOptions
    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        let name: String
        let scope: NightlyJob.Scope
        let user: String?
        let at: String
        let next: String?
        let pipeline: String
        let installed: NightlyFolder.Installed

        func encode(to encoder: any Encoder) throws {
            enum Keys: String, CodingKey { case name, scope, user, at, next, pipeline }
            try installed.encode(to: encoder)
            var values = encoder.container(keyedBy: Keys.self)
            try values.encode(name, forKey: .name)
            try values.encode(scope, forKey: .scope)
            try values.encodeIfPresent(user, forKey: .user)
            try values.encode(at, forKey: .at)
            try values.encodeIfPresent(next, forKey: .next)
            try values.encode(pipeline, forKey: .pipeline)
        }
    }

    mutating func run() throws {
        Interruption.endAtOnce()
        guard let time = TimeOfDay(at) else {
            throw UsageError("invalid --at \"\(at)\"; use a time of day such as 02:00 or 22:30")
        }
        let scope = try units.scope()
        let file = try PipelineFile(path: pipeline, cancellation: Interruption.cancellation)
        let account = try account(scope)
        guard let program = InstalledProgram.path else {
            throw UsageError("the program's own file is gone, so a service could not start it: install it again")
        }
        let path = Self.absolute(pipeline)
        let arguments = try ["run", path] + limits() + folders(file) + ["--no-progress"]
        let job: NightlyJob
        do {
            job = try NightlyJob(
                name: name, scope: scope, time: time, pipeline: path, command: (program, arguments), account: account)
        } catch {
            throw Failure(error)
        }
        try checkAccess(job, file)
        let installed = try units.folder(scope).install(job, replacing: force)
        show(job, installed)
    }

    private func show(_ job: NightlyJob, _ installed: NightlyFolder.Installed) {
        let next = job.time.next(after: Date())
        if output.json {
            return Console.json(
                Report(
                    name: job.name, scope: job.scope, user: job.account, at: job.time.description,
                    next: next?.formatted(.iso8601), pipeline: job.pipeline, installed: installed))
        }
        if output.isQuiet { return Console.line(job.name) }
        for unit in installed.units { Console.line(Console.name(unit)) }
        for note in installed.notes { output.note("note: \(Console.name(note))") }
        if job.scope == .user, installed.isActive, !isLingering {
            output.note(
                "note: your units run only while you are logged in; `loginctl enable-linger` lets them run always")
        }
        if job.account == "root" { output.note("note: the job runs as root; --run-as USER changes that") }
        let when = next.map { ", next at \(NightlyTime.text($0))" } ?? ""
        let state = installed.isChanged ? "installed" : "installed before"
        output.note("\(job.name): \(state); starts every day at \(job.time)\(when)")
    }

    /// True if this user's systemd runs without a login, by systemd's own mark.
    private var isLingering: Bool {
        guard let entry = getpwuid(geteuid()), let name = entry.pointee.pw_name else { return false }
        return InputPath("/var/lib/systemd/linger/" + String(cString: name)).exists
    }

    private func limits() throws -> [String] {
        guard let limit = try OptionName.maxRuntime.value(maxRuntime) else { return [] }
        guard let seconds = TimeText.seconds(limit), seconds > 0, seconds <= 1e9 else {
            let source = OptionName.maxRuntime.source(typed: maxRuntime != nil)
            throw UsageError("invalid \(source) \"\(limit)\"; use a time such as 10m or 5h, at most 1e9 s")
        }
        return [OptionName.maxRuntime.option, limit]
    }

    /// The folders that the options and this environment name, which the service does not have.
    private func folders(_ file: PipelineFile) throws -> [String] {
        var arguments: [String] = []
        if model != nil || file.model == nil {
            guard let named = try OptionName.model.value(model) else { throw ModelOptions.noModel }
            arguments += [OptionName.model.option, try Self.checked(ModelFolder.path(of: named))]
        } else if let own = file.model {
            _ = try Self.checked(ModelFolder.path(of: own))
        }
        for (name, typed) in [(OptionName.cacheDir, cacheDir), (.dataDir, dataDir)] {
            if let folder = try name.value(typed) { arguments += [name.option, Self.absolute(folder)] }
        }
        return arguments
    }

    private static func checked(_ folder: String) throws -> String {
        let path = absolute(folder)
        guard InputPath(path).isFolder else {
            throw Failure(
                code: "folder_missing", message: "\(folder): no such model folder, so every night would fail",
                exitCode: Exit.model, remedy: .model)
        }
        return path
    }

    private static func absolute(_ path: String) -> String { InputPath(path).absolute.description }

    /// Refuses a job whose user cannot read its files; root alone can find out.
    private func checkAccess(_ job: NightlyJob, _ file: PipelineFile) throws {
        guard let name = job.account, name != "root", geteuid() == 0 else { return }
        let account = ServiceAccount(name: name)
        let folder = try OptionName.model.value(model, else: file.model).map { Self.absolute(ModelFolder.path(of: $0)) }
        for path in [job.pipeline, folder.map { $0 + "/config.json" }].compactMap(\.self)
        where InputPath(path).exists && !account.canRead(path) {
            throw UsageError(
                "the user \"\(name)\" cannot read \(path), so every night would fail; give it access, or name another user "
                    + "with --run-as", code: "no_access")
        }
    }

    /// The user that a job of the machine runs as.
    private func account(_ scope: NightlyJob.Scope) throws -> String? {
        guard scope == .system else {
            if runAs != nil { throw UsageError("--run-as requires --system") }
            return nil
        }
        guard let runAs else {
            return ServiceAccount(name: NightlyJob.packageAccount).exists ? NightlyJob.packageAccount : "root"
        }
        guard ServiceAccount(name: runAs).exists else { throw UsageError("--run-as: there is no user \"\(runAs)\"") }
        return runAs
    }
}
