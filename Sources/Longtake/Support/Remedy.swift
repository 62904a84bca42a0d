/// The next step that resolves an error, for the program to put into its own terms.
///
/// Messages of this library describe the step in words; the command line adds the option or command.
package enum Remedy: Sendable, CaseIterable {
    /// Give the run more time.
    case timeLimit
    /// Let the cache hold more.
    case cacheLimit
    /// Let a question use more memory, or ask about a shorter range.
    case memoryLimit
    /// Compute with fewer threads.
    case threads
    /// Use another compute backend.
    case backend
    /// Choose another model.
    case model
    /// Download the model.
    case downloadModel
    /// Choose another folder for the catalog.
    case dataFolder
    /// Ask about a shorter range or at a lower frame rate, or for a shorter answer.
    case range
    /// Allow a longer answer.
    case answerLength
    /// Make room on the disk.
    case diskSpace
    /// Make room for this index.
    case indexSize
    /// Sample on the grid.
    case gridSampling
    /// Ask about a still image.
    case stillImage
    /// Replace the files of an earlier run.
    case overwrite
    /// Index the recording.
    case index
    /// Index again, or drop what is damaged.
    case repair
    /// Index again, and keep all patches.
    case keepPatches
    /// Remove indexes of older versions.
    case prune
    /// List what is indexed.
    case list
    /// Check the model's tensors.
    case checkTensors
    /// Try files again that failed.
    case retryFailed
    /// Wait until another run has ended.
    case waitForLock
    /// Write answers that can be exported.
    case writeAnswers
    /// Replace the unit of another job.
    case replaceUnit
    /// State when recordings started.
    case clock
}
