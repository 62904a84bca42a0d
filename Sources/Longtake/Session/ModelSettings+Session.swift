internal import Tensors

extension ModelSettings {
    /// The defaults: precision by the model's size, oneDNN if the build has it, one thread per CPU.
    public init() { self.init(precision: nil as Precision?, backend: nil as Backend?) }
}
