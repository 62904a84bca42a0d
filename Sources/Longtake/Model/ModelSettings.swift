public import Tensors
internal import Foundation

/// How a model is loaded and computed with.
public struct ModelSettings: Sendable {
    /// nil: f32 where the weights then stay small (exactness costs nothing there), bf16 beyond, where the CPU has it.
    public var precision: WorkType?
    /// nil: oneDNN where the build has it.
    public var backend: Backend?
    public var threads: Int
    /// Name of a kernel table; nil: the best this CPU runs.
    public var instructionSet: String?

    public init(
        precision: WorkType? = nil, backend: Backend? = nil, threads: Int? = nil, instructionSet: String? = nil
    ) {
        self.precision = precision
        self.backend = backend
        self.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
        self.instructionSet = instructionSet
    }

    static let possibleThreads = 1...1024

    /// Weights that take less than this in f32 are computed in f32.
    static let smallModelBytes = 2 << 30

    /// The precision for a checkpoint of so many parameters, stored in so many bits each.
    func resolvedPrecision(parameters: Int, storedInHalves: Bool) -> WorkType {
        if let precision { return precision }
        guard storedInHalves, parameters * 4 >= Self.smallModelBytes else { return .f32 }
        return (backend ?? (Backend.hasOneDNN ? .oneDNN : .openBLAS)) == .oneDNN ? .bf16 : .f32
    }
}
