public import Tensors

/// A file of weights, mapped read-only: safetensors, or PyTorch's zip form.
public protocol WeightsFile: AnyObject, Sendable {
    /// The file's path as given.
    var path: String { get }
    /// The tensors by name.
    var tensors: [String: StoredTensor] { get }
    /// Tensor names in the order of their data.
    var names: [String] { get }
    /// Size of the file in bytes.
    var fileBytes: Int { get }
    /// Bytes of all tensors; data that two of them share counts twice.
    var dataBytes: Int { get }

    /// Throws `file_changed` if the file's size changed since it was opened.
    func checkUnchanged() throws

    /// Bytes that cheaply distinguish this file from others; they point into the mapping and are valid as long as this
    /// object.
    ///
    /// These are what describes the tensors, both ends (`edge` bytes each) and the first `perTensor` bytes of each
    /// tensor's data.
    func sample(edge: Int, perTensor: Int) -> [UnsafeRawBufferPointer]
}

/// The formats of weight files, with the names that transformers gives them; a folder with several uses the first.
public enum WeightsFormat: Sendable, CaseIterable {
    /// Safetensors.
    case safetensors
    /// What `torch.save` of PyTorch 1.6 and later writes.
    case pytorch

    /// The name of an unsharded weight file.
    public var singleName: String {
        switch self {
        case .safetensors: "model.safetensors"
        case .pytorch: "pytorch_model.bin"
        }
    }

    /// The name of the shard index.
    public var indexName: String { singleName + ".index.json" }

    /// The ending of every weight file's name.
    public var suffix: String {
        switch self {
        case .safetensors: ".safetensors"
        case .pytorch: ".bin"
        }
    }

    /// Maps and validates the file at `path`; throws `WeightsError`.
    public func open(path: String) throws -> any WeightsFile {
        switch self {
        case .safetensors: try SafetensorsFile(path: path)
        case .pytorch: try PyTorchFile(path: path)
        }
    }
}
