internal import Checkpoints
internal import Tensors

// Letters: T tokens or patches, D vision width, H language width.

/// The MLP from the vision width to the language width, shared by patches and compressed tokens.
///
/// `mlpKx_gelu` has K linear layers with exact GELU between them, `linear` one. Source: docs/model.md, section 4;
/// tensors `model.mm_projector.*`.
final class Projector {
    private let layers: [Linear]  // weights [H, D], then [H, H]
    private let compute: Compute
    private let input = Scratch()  // [T, D]
    private let hidden = (Scratch(), Scratch())  // [T, H] each; layers alternate between them

    init(_ weights: WeightReader, config: FusionConfig, visionWidth: Int, languageWidth: Int) throws {
        compute = weights.compute
        layers = try (0..<config.projectorDepth).map { index in
            // nn.Sequential counts the GELUs too, so the keys are `0.weight`, `2.weight` …; `linear` has no index.
            let name = config.projectorDepth == 1 && weights.has("weight") ? "" : "\(2 * index)."
            return try Linear(weights.under(name), index == 0 ? visionWidth : languageWidth, languageWidth)
        }
    }

    /// Projects x [T, D] f32 to out [T, H] f32.
    func callAsFunction(_ x: MatrixView, into out: MatrixView) {
        // As in the decoder layers, a single row is computed in f32 regardless of the precision.
        let type = x.rows == 1 ? DType.f32 : compute.precision
        var current = x
        if type != .f32 {
            current = input.matrix(type, rows: x.rows, columns: x.columns)  // [T, D]
            compute.threadPool.parallelFor(x.rows, cost: x.columns) {
                compute.convert(x.rows($0), into: current.rows($0))
            }
        }
        for (index, layer) in layers.enumerated() {
            if index == layers.count - 1 {
                layer(current, into: out)
            } else {
                let next = (index % 2 == 0 ? hidden.0 : hidden.1).matrix(type, rows: x.rows, columns: layer.outputs)
                layer(current, activation: .gelu, into: next)
                current = next
            }
        }
    }
}
