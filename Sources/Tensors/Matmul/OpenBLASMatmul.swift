internal import COpenBLAS
internal import CKernels
internal import Glibc

/// Large products with OpenBLAS, f32 only: the portable fallback without oneDNN.
final class OpenBLASMatmul: MatmulBackend {
    private let blas: lt_openblas
    private let sgemm: lt_sgemm
    private let kernels: Kernels

    init(kernels: Kernels, threads: Int) throws {
        // OpenBLAS 0.3.21 (Debian 12) treats CPUs newer than itself as Haswell, at a third of their speed. It reads the
        // core type from the environment when loaded; a value set by the user is kept.
        if kernels.isAVX512 { setenv("OPENBLAS_CORETYPE", "SkylakeX", 0) }
        let blas = lt_openblas_load()
        guard let sgemm = blas.sgemm else {
            throw ComputeError(
                code: .backendMissing, message: "OpenBLAS is not installed: apt-get install libopenblas0")
        }
        blas.set_num_threads?(Int32(threads))
        self.blas = blas
        self.sgemm = sgemm
        self.kernels = kernels
    }

    var version: String {
        guard let config = blas.get_config?() else { return "OpenBLAS" }
        return String(cString: config).trimmingSuffix(" ")
    }

    func linear(_ product: LinearProduct) {
        let (input, output, weight) = (product.input, product.output, product.weight)
        let weights = weight.base.assumingMemoryBound(to: Float.self)
        sgemm(
            Int32(lt_row_major), Int32(lt_no_transpose), Int32(lt_transpose),
            Int32(input.rows), Int32(weight.rows), Int32(weight.columns), 1, input.floats, Int32(input.stride),
            weights, Int32(weight.columns), product.accumulate ? 1 : 0, output.floats, Int32(output.stride))
        if product.bias != nil || product.activation != .none {
            kernels.table.bias_activation(
                output.floats, output.stride, product.bias, product.activation.kernel, output.rows, output.columns)
        }
    }

    func gemm(_ p: GEMM) {
        sgemm(
            Int32(lt_row_major), Int32(lt_no_transpose), Int32(p.isTransposed ? lt_transpose : lt_no_transpose),
            Int32(p.m), Int32(p.n), Int32(p.k), 1, p.a, Int32(p.aRow), p.b, Int32(p.bRow), p.accumulate ? 1 : 0, p.c,
            Int32(p.cRow))
    }

    func batchedGEMM(
        _ p: BatchedGEMM, a: UnsafeRawPointer, b: UnsafeRawPointer, c: UnsafeMutableRawPointer
    ) {
        let a = a.assumingMemoryBound(to: Float.self)
        let b = b.assumingMemoryBound(to: Float.self)
        let c = c.assumingMemoryBound(to: Float.self)
        let isTransposed = p.bRow == 1
        for group in 0..<p.groups {
            for index in 0..<p.repeats {
                sgemm(
                    Int32(lt_row_major), Int32(lt_no_transpose),
                    Int32(isTransposed ? lt_transpose : lt_no_transpose), Int32(p.m), Int32(p.n), Int32(p.k),
                    1, a + group * p.aGroup + index * p.aRepeat, Int32(p.aRow), b + group * p.bGroup,
                    Int32(isTransposed ? p.bColumn : p.bRow), 0, c + group * p.cGroup + index * p.cRepeat,
                    Int32(p.cRow))
            }
        }
    }
}

extension Activation {
    var kernel: lt_activation {
        switch self {
        case .none: LT_ACT_NONE
        case .quickGELU: LT_ACT_QUICK_GELU
        case .gelu: LT_ACT_GELU_ERF
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(_ character: Character) -> String {
        var text = self[...]
        while text.last == character { text = text.dropLast() }
        return String(text)
    }
}
