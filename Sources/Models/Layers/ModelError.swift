/// An error building a model or generating an answer.
public struct ModelError: Error, CustomStringConvertible, Sendable {
    /// Stable identifiers for programs.
    public enum Code: String, Sendable {
        case missingTensor = "missing_tensor"
        case wrongShape = "wrong_shape"
        case unsupported = "unsupported"
        case contextExceeded = "context_exceeded"
        case badPrompt = "bad_prompt"
        case notANumber = "not_a_number"
        case noToken = "no_token"
    }

    /// What is wrong.
    public let code: Code
    /// One line that names the thing, the limit and the next step.
    public let message: String
    /// The message.
    public var description: String { message }

    /// An error with a message of its own.
    public init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    static func missing(_ name: String) -> ModelError {
        ModelError(code: .missingTensor, message: "the checkpoint has no tensor \(name): fetch the model again")
    }

    static func shape(_ name: String, _ shape: [Int], wanted: [Int]) -> ModelError {
        ModelError(
            code: .wrongShape,
            message:
                "tensor \(name) has shape \(shape), but config.json needs \(wanted): the two are from different models"
        )
    }

    /// The prompt and the answer need more positions than the model has.
    ///
    /// - Parameters:
    ///   - needed, limit, other: positions.
    ///   - frames: frames in the prompt; the message says how many would fit.
    package static func context(needed: Int, limit: Int, frames: Int, tokensPerFrame: Int, other: Int) -> ModelError {
        let fitting = max(0, (limit - other) / max(1, tokensPerFrame))
        let advice =
            fitting > 0
            ? "\(counted(fitting, "frame")) would fit: ask about a shorter range or index at a lower frame rate"
            : "no frame would fit: allow a shorter answer or ask a shorter question"
        return ModelError(
            code: .contextExceeded,
            message: "the prompt needs \(needed) positions and the model has \(limit): \(counted(frames, "frame")) at "
                + "\(tokensPerFrame) each and \(other) for text and answer. \(advice)")
    }

    /// A value is NaN or infinite.
    package static let notANumber = ModelError(
        code: .notANumber,
        message: "the model produced values that are not finite numbers: check its tensors")

    /// No token of the vocabulary may come next.
    package static let noToken = ModelError(
        code: .noToken,
        message: "no token of the vocabulary continues the answer in its form: the tokenizer and the model do not match"
    )
}
