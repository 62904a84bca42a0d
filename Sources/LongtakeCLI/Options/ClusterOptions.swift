import ArgumentParser
import Foundation
import Longtake

/// The folder of a run that several machines share.
struct ClusterRunOptions: ParsableArguments {
    @Option(
        help: "Folder of the run, on storage that all machines reach under the same path.", completion: .directory)
    var run: String

    func open() throws -> ClusterRun { try ClusterRun(path: run, program: Version.text) }
}

/// Options of the commands that compute in a cluster run; everything else is in the pipeline.
struct ClusterSetupOptions: ParsableArguments {
    @OptionGroup var model: ModelOptions
    @OptionGroup var keyValues: KeyValueOptions
    @OptionGroup var output: OutputOptions

    /// - Parameter library: the folders of indexes and catalog; nil: those of the environment.
    func setup(_ file: PipelineFile, library: LibraryOptions? = nil) throws -> PipelineSetup {
        try keyValues.check()
        var options = try PipelineOptions.parse([])
        (options.model, options.keyValues, options.output) = (model, keyValues, output)
        if let library { options.library = library }
        return try PipelineSetup(file, options, minAge: nil)
    }
}
