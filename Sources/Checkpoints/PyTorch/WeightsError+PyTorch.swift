internal import Tensors

/// One function per error of PyTorch's files, named after its code.
extension WeightsError {
    static func archiveInvalid(_ file: String, _ what: String) -> Self {
        .init(.archiveInvalid, "\(file): \(what)")
    }
    static func pickleInvalid(_ file: String, _ what: String) -> Self {
        .init(.pickleInvalid, "\(file): its pickle is damaged: \(what); fetch it again")
    }
    static func pickleRefused(_ file: String, _ what: String) -> Self {
        .init(
            .pickleRefused,
            "\(file): its pickle has \(what), which is refused: only tensors and dictionaries are read, and nothing was "
                + "run; use a copy of these weights in safetensors")
    }
    static func pickleTooLarge(_ file: String, _ what: String) -> Self {
        .init(.tooLarge, "\(file): its pickle has \(what)")
    }
    static func pytorchUnsupported(_ file: String, _ what: String) -> Self {
        .init(.pytorchUnsupported, "\(file): \(what)")
    }
    static func pytorchLegacy(_ file: String) -> Self {
        .pytorchUnsupported(
            file,
            "was saved in the format of PyTorch before 1.6, which is not supported; load it in Python and save it again: "
                + "torch.save(torch.load(file, weights_only=True), file)")
    }
}
