import ArgumentParser
import Foundation
import Glibc
import Longtake

/// Options of every command.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON: one document, or one object per line for long work.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress, no notes. (env: LONGTAKE_QUIET)")
    var quiet = false

    @Flag(help: "No progress. (env: LONGTAKE_NO_PROGRESS)")
    var noProgress = false

    var isQuiet: Bool { quiet || Environment.flag("QUIET") }
    var progress: Progress { Progress(isShown: !isQuiet && !json && !noProgress && !Environment.flag("NO_PROGRESS")) }

    /// Reports a failure that does not end the command, on standard error even with --quiet.
    func failed(_ failure: Failure, during: String, item: String? = nil) {
        guard json else { return Console.problem(failure.message) }
        Console.jsonLine(Trouble(error: failure, during: during, item: item), to: STDERR_FILENO)
    }

    private struct Trouble: Encodable {
        let message_type = "error"
        let error: Failure
        let during: String
        let item: String?
    }

    /// Prints a warning, even with --quiet.
    func warn(_ text: String) { Console.warn(text) }

    func note(_ text: String) {
        if !isQuiet, !json { Console.note(Console.safe(text)) }
    }
}

/// Options for computation.
struct ComputeOptions: ParsableArguments {
    @Option(help: "auto, f32 or bf16. (env: LONGTAKE_PRECISION)")
    var precision: String?

    @Option(help: "auto, onednn or openblas. (env: LONGTAKE_BACKEND)")
    var backend: String?

    @Option(help: "Threads to compute with; all cores by default. (env: LONGTAKE_THREADS)")
    var threads: Int?

    @Option(
        help: """
            What a question may take beside the weights, as 6G or 500MB; by default what the machine has left. (env: \
            LONGTAKE_MEMORY)
            """)
    var memory: String?

    func settings() throws -> ModelSettings {
        var settings = try Self.settings(precision: precision, backend: backend, threads: threads)
        if let memory = memory ?? Environment.text("MEMORY") { try settings.set(memory: memory) }
        return settings
    }

    /// The settings from the given options; for those not given, from the environment.
    static func settings(
        precision: String? = nil, backend: String? = nil, threads: Int?
    ) throws -> ModelSettings {
        let threads = try threads ?? Environment.value("THREADS", Int.self)
        if let threads, !(1...1024).contains(threads) {
            throw UsageError("--threads must be 1 to 1024, not \(threads)")
        }
        return try ModelSettings(
            precision: precision ?? Environment.text("PRECISION"), backend: backend ?? Environment.text("BACKEND"),
            threads: threads)
    }
}

/// Options for the model and for computing with it.
struct ModelOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "Folder of the model, Hugging Face layout. (env: LONGTAKE_MODEL)")
    var model: String?

    @OptionGroup var compute: ComputeOptions

    func settings() throws -> ModelSettings { try compute.settings() }

    /// The model's folder: the option, else `other` (a pipeline's own), else the environment.
    func folder(or other: String? = nil) throws -> String {
        guard let path = model ?? other ?? Environment.text("MODEL") else {
            throw Failure(
                code: "no_model",
                message:
                    "no model: give --model DIR or set LONGTAKE_MODEL; the small one that comes with the source is "
                    + "Models/nano (docs/models.md); one without meaning: longtake model make-random --shape nano --out DIR",
                exitCode: Exit.model)
        }
        return path
    }

    /// The model properties an index depends on, without loading weights; nil if only loading them can report the
    /// error.
    func identity(or other: String? = nil) throws -> ModelIdentity? {
        let folder = try folder(or: other)
        let settings = try settings()
        do {
            return try ModelIdentity(path: folder, settings: settings)
        } catch {
            throw Failure(error, subject: folder)
        }
    }

    func load(or other: String? = nil) throws -> LoadedModel {
        let folder = try folder(or: other)
        let settings = try settings()
        do {
            return try Interruption.endingAtOnce { try LoadedModel(path: folder, settings: settings) }
        } catch {
            throw Failure(error, subject: folder)
        }
    }
}

/// Options for the folders of the indexes and the catalog.
struct LibraryOptions: ParsableArguments {
    @Option(
        help: "Folder of the frame cache. (env: LONGTAKE_CACHE_DIR, else $XDG_CACHE_HOME/longtake or ~/.cache/longtake)"
    )
    var cacheDir: String?

    @Option(
        help:
            "Folder of the catalogue. (env: LONGTAKE_DATA_DIR, else $XDG_DATA_HOME/longtake or ~/.local/share/longtake)"
    )
    var dataDir: String?

    var cachePath: String {
        cacheDir
            ?? Environment.folder("CACHE_DIR", service: "CACHE_DIRECTORY", xdg: "XDG_CACHE_HOME", fallback: "/.cache")
    }

    var dataPath: String {
        dataDir
            ?? Environment.folder(
                "DATA_DIR", service: "STATE_DIRECTORY", xdg: "XDG_DATA_HOME", fallback: "/.local/share")
    }

    /// - Parameter cacheMax: the cache size limit; if nil, the environment's, else the cache's own.
    func open(cacheMax: String? = nil, forQuestions: Bool = false) throws -> Library {
        do {
            let library = try Library(
                cachePath: cachePath, dataPath: dataPath, cacheMax: cacheMax ?? Environment.text("CACHE_MAX_BYTES"),
                forQuestions: forQuestions)
            // Questions print them as notes instead.
            for note in library.notes where !forQuestions { Console.warn(note) }
            return library
        } catch {
            throw Failure(error)
        }
    }

    /// Opens the library for questions only: a catalog that cannot be opened is reported, but does not end the command.
    func open(telling output: OutputOptions) throws -> Library {
        let library = try open(forQuestions: true)
        for note in library.notes { output.note("note: \(Console.name(note))") }
        return library
    }
}

/// Options for when the prefix cache is built.
struct DeriveOptions: ParsableArguments {
    @Option(
        help: """
            What all questions about a recording share is made and kept: auto (default: with the index, where it saves each \
            question 0.2 s and more), now (with the index), lazy (by the first question) or never. (env: LONGTAKE_DERIVE)
            """)
    var derive: String?

    func policy() throws -> PrefixCache.Policy {
        let word = derive ?? Environment.text("DERIVE") ?? PrefixCache.Policy.auto.rawValue
        guard let policy = PrefixCache.Policy(rawValue: word), policy != .autoLazy else {
            throw UsageError("--derive is auto, now, lazy or never, not \(word)")
        }
        return policy
    }

    /// Questions build only the prefix cache that they need themselves.
    func policyOfQuestions() throws -> PrefixCache.Policy {
        switch try policy() {
        case .auto: .autoLazy
        case .now: .lazy
        case let other: other
        }
    }
}

/// Options for decoding and sampling frames.
struct SamplingOptions: ParsableArguments {
    @Option(help: "Frames per second, 1 by default. (env: LONGTAKE_FPS)")
    var fps: DecimalNumber?

    @Option(
        help: """
            grid (default): the frame shown at t = 0, 1, 2 … s. reference: the middle of each second, as LLaVA-Mini \
            samples. (env: LONGTAKE_SAMPLING)
            """)
    var sampling: String?

    @Option(
        help: """
            Number of a video stream of the file; otherwise one that moves, the default one, the largest, the first. (env: \
            LONGTAKE_STREAM)
            """)
    var stream: Int?

    @Option(
        help:
            "Longest recording; the rest is left out (status partial). 90, 10m, 24h (the default). (env: LONGTAKE_MAX_DURATION)"
    )
    var maxDuration: TimeArgument?

    @Option(help: "Most frames of a recording, 10000000 by default. (env: LONGTAKE_MAX_FRAMES)")
    var maxFrames: Int?

    @Flag(help: "Take frames that the decoder flags as damaged too. (env: LONGTAKE_KEEP_CORRUPT)")
    var keepCorrupt = false

    @Option(help: "Threads that decode. (env: LONGTAKE_DECODE_THREADS)")
    var decodeThreads: Int?

    @Option(
        help:
            "The decoder is stopped after this time without a sign of life: 60 s by default, more for slow storage. (env: LONGTAKE_WATCHDOG)"
    )
    var watchdog: TimeArgument?

    /// - Parameter file: a pipeline, whose settings come after the options and before the environment.
    func options(
        record: String? = nil, keep: String? = nil, waitLock: TimeArgument? = nil, in file: PipelineFile? = nil
    ) throws -> IndexOptions {
        var options = IndexOptions()
        try options.set(
            sampling: sampling ?? Environment.text("SAMPLING") ?? "grid",
            record: record ?? Environment.text("RECORD") ?? "default",
            keep: keep ?? Environment.text("KEEP"))
        if let seconds = try waitLock?.seconds ?? Environment.time("WAIT_LOCK") { options.lockWait = seconds }
        options.framesPerSecond = try fps?.value ?? file?.framesPerSecond ?? Environment.number("FPS") ?? 1
        guard options.framesPerSecond >= 0.001, options.framesPerSecond <= 240 else {
            throw UsageError("--fps must be 0.001 to 240, not \(options.framesPerSecond)")
        }
        options.stream = try stream ?? file?.stream ?? Environment.value("STREAM")
        if let stream = options.stream, stream < 0 { throw UsageError("--stream must be 0 or more") }
        options.maxDuration = try maxDuration?.seconds ?? Environment.time("MAX_DURATION") ?? options.maxDuration
        options.maxFrames = try maxFrames ?? Environment.value("MAX_FRAMES") ?? options.maxFrames
        guard options.maxFrames > 0, options.maxDuration > 0 else { throw UsageError("limits must be above 0") }
        options.keepCorrupt = keepCorrupt || Environment.flag("KEEP_CORRUPT")
        options.watchdog = try watchdog?.seconds ?? Environment.time("WATCHDOG") ?? options.watchdog
        options.decodeThreads = try decodeThreads ?? Environment.value("DECODE_THREADS") ?? 1
        guard (1...16).contains(options.decodeThreads) else { throw UsageError("--decode-threads must be 1 to 16") }
        return options
    }
}

/// A time in seconds or with units: 90, 1.5, 10m, 2h, 01:30, 01:30:00.250.
struct TimeArgument: ExpressibleByArgument {
    let seconds: Double

    init?(argument: String) {
        guard let seconds = TimeText.seconds(argument) else { return nil }
        self.seconds = seconds
    }
}

/// A path as it was typed; if it is not valid UTF-8, its original bytes are recovered from the process's arguments.
struct PathArgument: ExpressibleByArgument {
    let path: InputPath

    /// True if the text came from bytes that are not valid UTF-8.
    static func wasRepaired(_ text: String) -> Bool {
        raw(text).map { String(validating: $0.bytes, as: UTF8.self) == nil } ?? false
    }

    init?(argument: String) {
        path = Self.raw(argument) ?? InputPath(argument)
    }

    private static func raw(_ text: String) -> InputPath? {
        guard text.unicodeScalars.contains("\u{FFFD}") else { return nil }
        for index in 1..<max(Int(CommandLine.argc), 1) {
            guard let argument = CommandLine.unsafeArgv[index] else { continue }
            let bytes = Array(UnsafeBufferPointer(start: argument, count: strlen(argument))).map {
                UInt8(bitPattern: $0)
            }
            if String(decoding: bytes, as: UTF8.self) == text { return InputPath(bytes: bytes) }
        }
        return nil
    }
}
