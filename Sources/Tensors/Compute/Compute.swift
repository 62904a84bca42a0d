internal import CKernels

/// Which library does the large products.
public enum Backend: String, Sendable, CaseIterable {
    case oneDNN = "onednn"
    case openBLAS = "openblas"
}

/// Why computing could not be set up on this machine.
public struct ComputeError: Error, CustomStringConvertible, Sendable {
    public enum Code: String, Sendable {
        case backendMissing = "backend_missing"
        case unknownInstructionSet = "unknown_instruction_set"
        case libraryFailed = "library_failed"
    }
    public let code: Code
    public let message: String
    public var description: String { message }
}

/// Everything needed to compute on this machine: the product library, the kernels and the threads.
///
/// One instance belongs to one thread; models built on it share its scratch memory.
public final class Compute {
    public let backend: Backend
    public let precision: DType
    public let kernels: Kernels
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
    /// Whether weights stay in bf16 where they are stored so, whatever the precision.
    let widens: Bool
    /// Whether threads may multiply by themselves, and it is no slower than the library's own way for all of them.
    let threadsMultiply: Bool
    let weights = WeightMemory()

    /// - Parameters:
    ///   - backend: nil takes oneDNN where the build has it and OpenBLAS otherwise.
    ///   - instructionSet: name of a kernel table; nil takes the best. A name this CPU lacks is an error.
    /// - Throws: `ComputeError` when the backend cannot be loaded.
    public init(
        precision: DType, backend: Backend? = nil, threads: Int, instructionSet: String? = nil
    ) throws {
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

    /// oneDNN has bf16 products from AVX-512 on, OpenBLAS none. oneDNN's f32 products by one thread each are as good as its own way for
    /// all of them before AVX-512, and need no second copy of weights that are stored in bf16.
    private static func widens(_ precision: DType, _ backend: Backend, _ kernels: Kernels) -> Bool {
        let hasHalves = backend == .oneDNN && kernels.isAVX512
        return precision == .bf16 ? !hasHalves : backend == .oneDNN && !kernels.isAVX512
    }

    /// Whether a `Compute` with these settings would widen; false where there can be none.
    public static func widens(precision: DType, backend: Backend?, instructionSet: String?) -> Bool {
        Kernels(named: instructionSet).map { widens(precision, backend ?? .standard, $0) } ?? false
    }

    /// Whether a row of a product is the same to the last bit however many rows there are: without AVX-512 the libraries choose
    /// other ways of summing for few rows.
    public var rowsAreIndependent: Bool { kernels.isAVX512 }

    /// - Parameter isShared: by threads, which compute a product each.
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
    /// The one that is taken where none is asked for.
    static var standard: Backend { hasOneDNN ? .oneDNN : .openBLAS }

    /// Whether this build links oneDNN (trait `OneDNN`).
    public static var hasOneDNN: Bool {
        #if OneDNN
            true
        #else
            false
        #endif
    }
}
