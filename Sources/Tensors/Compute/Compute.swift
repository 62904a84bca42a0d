internal import CKernels

/// The library that computes large matrix products.
public enum Backend: String, Sendable, CaseIterable {
    case oneDNN = "onednn"
    case openBLAS = "openblas"
}

/// An error setting up computation on this machine.
public struct ComputeError: Error, CustomStringConvertible, Sendable {
    /// Stable identifiers for programs.
    public enum Code: String, Sendable {
        case backendMissing = "backend_missing"
        case unknownInstructionSet = "unknown_instruction_set"
        case libraryFailed = "library_failed"
    }
    public let code: Code
    public let message: String
    public var description: String { message }
}

/// The matrix library, kernels and threads used for computation.
///
/// Not thread-safe: one instance belongs to one thread, and the models built on it share its scratch memory.
public final class Compute {
    /// The library in use.
    public let backend: Backend
    /// The element type of large products' operands; residual rows, norms and single rows stay f32.
    public let precision: DType
    /// The kernels of the selected instruction set.
    public let kernels: Kernels
    /// The compute threads.
    public let workers: ThreadPool
    let products: any MatmulBackend
    let scores = Scratch()
    let probabilities = Scratch()
    let packedRows = Scratch()
    let partTops = Scratch()
    let partSums = Scratch()
    let partValues = Scratch()
    let watchedScores = Scratch()
    let watchedQuery = Scratch()
    let headMemory: [HeadMemory]
    /// True if bf16 weights are kept as stored and upcast on use, regardless of the precision.
    let widens: Bool
    /// True if each thread may compute its own products and this is no slower than the library's own threading.
    let threadsMultiply: Bool
    let weights = WeightMemory()

    /// Loads the matrix library and selects the kernels.
    ///
    /// - Parameters:
    ///   - backend: nil selects oneDNN if the build has it, else OpenBLAS.
    ///   - threads: number of compute threads; values below 1 become 1.
    ///   - instructionSet: name of a kernel table; nil selects the best. A name this CPU lacks is an error.
    /// - Throws: `ComputeError` if the backend cannot be loaded or the kernels cannot run here.
    public init(
        precision: DType, backend: Backend? = nil, threads: Int, instructionSet: String? = nil
    ) throws {
        precondition(DType.computeTypes.contains(precision), "\(precision) is not a compute type")
        guard let kernels = Kernels(named: instructionSet) else {
            throw ComputeError(
                code: .unknownInstructionSet,
                message: "this CPU has no kernels named \(instructionSet ?? ""); it has "
                    + Kernels.available.joined(separator: ", "))
        }
        self.kernels = kernels
        self.precision = precision
        workers = ThreadPool(threadCount: threads)
        let chosen = backend ?? .standard
        self.backend = chosen
        let widens = Self.widens(precision, chosen, kernels)
        let made = try Self.makeProducts(chosen, kernels: kernels, workers: workers, isShared: widens)
        products = widens ? UpcastingMatmul(made, kernels: kernels, workers: workers) : made
        self.widens = widens
        threadsMultiply = widens && !kernels.isAVX512
        headMemory = (0..<workers.threadCount).map { _ in HeadMemory() }
    }

    /// oneDNN has bf16 products only with AVX-512, OpenBLAS never. Without AVX-512, one oneDNN f32 product per thread
    /// is as fast as the library's own threading and needs no f32 copy of bf16 weights.
    private static func widens(_ precision: DType, _ backend: Backend, _ kernels: Kernels) -> Bool {
        let hasHalves = backend == .oneDNN && kernels.isAVX512
        return precision == .bf16 ? !hasHalves : backend == .oneDNN && !kernels.isAVX512
    }

    /// True if a `Compute` with these settings would upcast bf16 weights on use; false if it cannot be created.
    public static func widens(precision: DType, backend: Backend?, instructionSet: String?) -> Bool {
        Kernels(named: instructionSet).map { widens(precision, backend ?? .standard, $0) } ?? false
    }

    /// True if a row of a product has the same bits regardless of the number of rows.
    ///
    /// Without AVX-512 the libraries sum in a different order for few rows.
    public var rowsAreIndependent: Bool { kernels.isAVX512 }

    /// - Parameter isShared: true if several threads call the library at once, each with its own product.
    private static func makeProducts(
        _ backend: Backend, kernels: Kernels, workers: ThreadPool, isShared: Bool
    ) throws -> any MatmulBackend {
        switch backend {
        case .openBLAS:
            return try OpenBLASMatmul(kernels: kernels, threads: isShared ? 1 : workers.threadCount)
        case .oneDNN:
            #if OneDNN
                return try OneDNNMatmul(workers: workers, smallAlone: !kernels.isAVX512)
            #else
                throw ComputeError(
                    code: .backendMissing,
                    message: "this build has no oneDNN: build with the OneDNN trait and libdnnl-dev installed")
            #endif
        }
    }
}

extension Backend {
    /// The default backend of this build.
    static var standard: Backend { hasOneDNN ? .oneDNN : .openBLAS }

    /// True if this build links oneDNN (trait `OneDNN`).
    public static var hasOneDNN: Bool {
        #if OneDNN
            true
        #else
            false
        #endif
    }
}
