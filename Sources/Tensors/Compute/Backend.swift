/// The library that computes large matrix products.
public enum Backend: String, Sendable, CaseIterable {
    case oneDNN = "onednn"
    case openBLAS = "openblas"

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
