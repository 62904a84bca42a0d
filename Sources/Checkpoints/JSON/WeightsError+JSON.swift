internal import Tensors

extension WeightsError {
    /// A JSON fault in the header or index `file`.
    static func json(_ file: String, _ fault: JSONFault) -> Self {
        let code: Code =
            switch fault.kind {
            case .utf8: .invalidUTF8
            case .syntax: .invalidJSON
            case .duplicateKey: .duplicateKey
            case .depth: .tooDeep
            case .size: .tooLarge
            }
        return .init(code, "\(file): \(fault.description)")
    }
}
