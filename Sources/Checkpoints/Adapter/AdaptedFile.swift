internal import Tensors

/// A base model's weight file with an adapter's changes, or the adapter's own files with what they add.
final class AdaptedFile: WeightsFile {
    let tensors: [String: StoredTensor]
    let names: [String]
    private let file: any WeightsFile

    /// - Parameters:
    ///   - adapted: the tensors of the whole model, in which the changes are.
    ///   - names: those that are shown as this file's.
    init(_ file: any WeightsFile, adapted: [String: StoredTensor], names: [String]) {
        self.file = file
        self.names = names.filter { adapted[$0] != nil }
        tensors = Dictionary(uniqueKeysWithValues: self.names.compactMap { name in adapted[name].map { (name, $0) } })
    }

    var path: String { file.path }
    var fileBytes: Int { file.fileBytes }
    var dataBytes: Int { tensors.values.reduce(0) { $0 + $1.byteCount } }
    func checkUnchanged() throws { try file.checkUnchanged() }
    func sample(edge: Int, perTensor: Int) -> [UnsafeRawBufferPointer] {
        file.sample(edge: edge, perTensor: perTensor)
    }
}
