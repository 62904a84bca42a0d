internal import CKernels

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
    public let threadPool: ThreadPool
    let matmul: any MatmulBackend
    let scores = Scratch()
    let probabilities = Scratch()
    let packedRows = Scratch()
    let blockMaxScores = Scratch()
    let blockExpSums = Scratch()
    let blockValues = Scratch()
    let blockWeights = Scratch()
    let blockShares = Scratch()
    let weightsRows = Scratch()
    let weightsQuery = Scratch()
    let quantizedRows = Scratch()
    let quantizedScales = Scratch()
    let quantizedSums = Scratch()
    var sharedInput: SharedInput?
    var keyBlocks = KeyBlocks()
    let headScratch: [HeadScratch]
    /// True if bf16 weights are kept as stored and upcast on use, regardless of the precision.
    let upcastsBF16: Bool
    /// True if each thread may compute its own products and this is no slower than the library's own threading.
    let multipliesPerThread: Bool
    let weights = WeightMemory()
    /// Measures the time of each section of the work; nil: nothing is measured.
    public var timer: SectionTimer?

    /// Loads the matrix library and selects the kernels.
    ///
    /// - Parameters:
    ///   - precision: one of `DType.computeTypes`.
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
        threadPool = ThreadPool(threadCount: threads)
        let chosen = backend ?? .standard
        self.backend = chosen
        let upcastsBF16 = Self.upcastsBF16(precision, chosen, kernels)
        let library = try Self.makeMatmul(chosen, kernels: kernels, threadPool: threadPool, isShared: upcastsBF16)
        matmul = upcastsBF16 ? UpcastingMatmul(library, kernels: kernels, threadPool: threadPool) : library
        self.upcastsBF16 = upcastsBF16
        multipliesPerThread = upcastsBF16 && !kernels.isAVX512
        headScratch = (0..<threadPool.threadCount).map { _ in HeadScratch() }
    }

    /// oneDNN has bf16 products only with AVX-512, OpenBLAS never. Without AVX-512, one oneDNN f32 product per thread
    /// is as fast as the library's own threading and needs no f32 copy of bf16 weights.
    private static func upcastsBF16(_ precision: DType, _ backend: Backend, _ kernels: Kernels) -> Bool {
        let multipliesBF16 = backend == .oneDNN && kernels.isAVX512
        return precision == .bf16 ? !multipliesBF16 : backend == .oneDNN && !kernels.isAVX512
    }

    /// True if a `Compute` with these settings would upcast bf16 weights on use; false if it cannot be created.
    public static func upcastsBF16(precision: DType, backend: Backend?, instructionSet: String?) -> Bool {
        Kernels(named: instructionSet).map { upcastsBF16(precision, backend ?? .standard, $0) } ?? false
    }

    /// True if a row of a product has the same bits regardless of the number of rows.
    ///
    /// Without AVX-512 the libraries sum in a different order for few rows. Products with quantized weights have the same
    /// bits for any number of rows and threads, on every instruction set but for the activation function.
    public var rowsAreIndependent: Bool { kernels.isAVX512 }

    /// Name and version of the matrix library in use.
    public var libraryVersion: String { matmul.version }

    /// - Parameter isShared: true if several threads call the library at once, each with its own product.
    private static func makeMatmul(
        _ backend: Backend, kernels: Kernels, threadPool: ThreadPool, isShared: Bool
    ) throws -> any MatmulBackend {
        switch backend {
        case .openBLAS:
            return try OpenBLASMatmul(kernels: kernels, threads: isShared ? 1 : threadPool.threadCount)
        case .oneDNN:
            #if OneDNN
                return try OneDNNMatmul(threadPool: threadPool, runsSmallOnOneThread: !kernels.isAVX512)
            #else
                throw ComputeError(
                    code: .backendMissing,
                    message: "this build has no oneDNN: build with the OneDNN trait and libdnnl-dev installed")
            #endif
        }
    }
}
