import ArgumentParser
import Foundation
import Longtake

/// Options for what computes, besides the precision.
struct MachineOptions: ParsableArguments {
    @Option(
        .backend, "Library for matrix products: auto, onednn or openblas.", completion: .list(ModelSettings.backends))
    var backend: String?

    @Option(.threads, "Number of compute threads; all cores by default.")
    var threads: Int?

    @Option(
        .memory,
        """
        Memory a question may use in addition to the weights: 6G, 500MB. By default what the machine has free.
        """)
    var memory: String?

    /// The settings with a precision that was checked.
    func settings(checked precision: String?) throws -> ModelSettings {
        var settings = try ModelSettings(
            precision: precision,
            backend: OptionName.backend.choice(backend, of: ModelSettings.backends, code: "bad_request"),
            threads: OptionName.threads.value(threads, in: 1...1024))
        if let memory = try OptionName.memory.value(memory) { try settings.set(memory: memory) }
        return settings
    }
}

/// Options for computation.
struct ComputeOptions: ParsableArguments {
    @Option(
        .precision,
        """
        auto, f32, bf16 or int8. int8 quantizes the weights at every start; `longtake model quantize` writes them once.
        """, completion: .list(ModelSettings.precisions))
    var precision: String?

    @OptionGroup var machine: MachineOptions

    /// - Parameter other: a pipeline's own precision.
    func settings(precision other: String? = nil) throws -> ModelSettings {
        try machine.settings(checked: Self.choice(precision, or: other))
    }

    /// The settings from the environment, with the number of threads if it is given.
    static func settings(threads: Int?) throws -> ModelSettings {
        try ModelSettings(
            precision: choice(nil, or: nil),
            backend: OptionName.backend.choice(nil, of: ModelSettings.backends, code: "bad_request"),
            threads: OptionName.threads.value(threads, in: 1...1024))
    }

    private static func choice(_ precision: String?, or other: String?) throws -> String? {
        try OptionName.precision.choice(precision, else: other, of: ModelSettings.precisions, code: "bad_request")
    }
}

/// Options for the model and for computing with it.
struct ModelOptions: ParsableArguments {
    @Option(
        .model,
        """
        Folder of the model, in Hugging Face layout; or the name of a downloaded one (`longtake model pull`): \
        ORGANIZATION/NAME, with @REVISION for another than main.
        """, completion: .directory)
    var model: String?

    @OptionGroup var compute: ComputeOptions

    /// - Parameters:
    ///   - precision: a pipeline's own.
    ///   - threads: a pipeline's number of threads, which comes after the option and before the environment.
    func settings(precision: String? = nil, threads: Int? = nil) throws -> ModelSettings {
        var settings = try compute.settings(precision: precision)
        if let threads, compute.machine.threads == nil { settings.threads = threads }
        return settings
    }

    /// The error if neither an option nor a pipeline nor the environment names a model.
    static var noModel: Failure {
        // As installed: PREFIX/bin/longtake and PREFIX/share/longtake/models.
        let installed = InstalledProgram.path.map {
            URL(fileURLWithPath: $0).deletingLastPathComponent().deletingLastPathComponent()
                .appendingPathComponent("share/longtake/models/nano").path
        }
        let bundled =
            installed.flatMap { InputPath($0).isFolder ? "the small bundled model is \($0)" : nil }
            ?? "the small model of the source tree is Models/nano (docs/models.md)"
        return Failure(
            code: "no_model",
            message:
                "no model: give --model DIR or set LONGTAKE_MODEL; \(bundled); one with random weights: "
                + "longtake model make-random --shape nano --out DIR",
            exitCode: Exit.model)
    }

    /// The model's folder: the option, else `other` (a pipeline's own), else the environment.
    func folder(or other: String? = nil) throws -> String {
        guard let path = try OptionName.model.value(model, else: other) else {
            throw Self.noModel
        }
        return ModelFolder.path(of: path)
    }

    /// The model properties an index depends on, without loading weights; nil if only loading them can report the
    /// error.
    func identity(or other: String? = nil, precision: String? = nil) throws -> ModelIdentity? {
        let folder = try folder(or: other)
        let settings = try settings(precision: precision)
        do {
            return try ModelIdentity(path: folder, settings: settings)
        } catch {
            throw Failure(error, subject: folder)
        }
    }

    /// Loads the model.
    ///
    /// - Parameters:
    ///   - other, precision: a pipeline's folder and precision.
    ///   - keyValues: the type of cached keys and values, and a pipeline's.
    ///   - threads: a pipeline's number of threads, which comes after the option and before the environment.
    func load(
        or other: String? = nil, precision: String? = nil,
        keyValues: (options: KeyValueOptions, file: String?)? = nil, threads: Int? = nil
    ) throws -> LoadedModel {
        let folder = try folder(or: other)
        var settings = try settings(precision: precision, threads: threads)
        try keyValues?.options.apply(to: &settings, file: keyValues?.file)
        do {
            return try Interruption.endingAtOnce { try LoadedModel(path: folder, settings: settings) }
        } catch {
            throw Failure(error, subject: folder)
        }
    }
}
