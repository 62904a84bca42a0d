public import Foundation

/// The prompt format of a model: the reference's conversation modes under their names there.
public enum ConversationTemplate: String, Sendable, CaseIterable {
    /// Llama 3.1 as LLaVA-Mini was trained: the early chat template, with two begin tokens and trimmed texts.
    case llavaLlama31 = "llava_llama_3_1"
    /// The same, assembled by hand in the reference: texts are not trimmed.
    case llavaLlama3 = "llava_llama_3"
    /// Vicuna: "USER: … ASSISTANT: …" after the system text.
    case vicunaV1 = "vicuna_v1"
    /// LLaVA v1: as `vicunaV1`, with another system text.
    case llavaV1 = "llava_v1"
    /// LLaVA v0: "###Human: … ###Assistant: …" after the system text.
    case llavaV0 = "llava_v0"
    /// The question and a line break, nothing else.
    case plain

    /// The template with this name in the reference, aliases included; nil if unknown.
    public init?(name: String) {
        switch name {
        case "v1": self = .vicunaV1
        case "llama_3_1": self = .llavaLlama31
        default:
            guard let template = ConversationTemplate(rawValue: name) else { return nil }
            self = template
        }
    }

    /// What is between the assistant's role and its text.
    var answerSeparator: String {
        switch self {
        case .vicunaV1, .llavaV1, .llavaV0: " "
        case .llavaLlama31, .llavaLlama3, .plain: ""
        }
    }

    /// The system text that the reference puts first.
    public var defaultSystem: String {
        switch self {
        case .llavaLlama31, .llavaLlama3:
            "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
                + "provides, and assist the user with a variety of tasks using natural language."
        case .vicunaV1:
            "A chat between a curious user and an artificial intelligence assistant. "
                + "The assistant gives helpful, detailed, and polite answers to the user's questions."
        case .llavaV1, .llavaV0:
            "A chat between a curious human and an artificial intelligence assistant. "
                + "The assistant gives helpful, detailed, and polite answers to the human's questions."
        case .plain: ""
        }
    }
}

/// The template that a model's folder asks for, and the kind of its chat template.
public struct TemplateChoice: Sendable, Equatable {
    /// The kind of the Jinja chat template in tokenizer_config.json, which is never executed.
    public enum ChatTemplateKind: String, Sendable {
        /// No chat template.
        case none
        /// Llama 3's and the first Llama 3.1's: always ends with the assistant header. The checkpoint was trained with
        /// it.
        case early
        /// The later Llama 3.1's: date lines before the system text, and the assistant header only on request.
        ///
        /// The prompt is built as for `early`: without the header the model would first generate it as part of its
        /// answer.
        case late
        /// Any other.
        case other
    }

    /// The prompt format.
    public var template: ConversationTemplate
    /// The kind of the chat template, for display.
    public var chatTemplate: ChatTemplateKind

    /// A choice made elsewhere.
    public init(template: ConversationTemplate, chatTemplate: ChatTemplateKind) {
        self.template = template
        self.chatTemplate = chatTemplate
    }

    /// Chooses by `conv_mode` in tokenizer_config.json or config.json, else by the tokenizer.
    ///
    /// With Llama 3's header tokens: `llava_llama_3_1`; sentencepiece: `vicuna_v1`; otherwise `plain`. Throws
    /// `TokenizerError` if a file is malformed or names an unknown template.
    public static func choose(folder: URL, tokenizer: any Tokenizer) throws -> TemplateChoice {
        let settings = try TokenizerSettings(folder: folder.path)
        let kind = kind(of: settings.chatTemplate)
        if let name = settings.conversation {
            guard let template = ConversationTemplate(name: name) else {
                throw TokenizerError.unknownTemplate(name, file: folder.path)
            }
            return TemplateChoice(template: template, chatTemplate: kind)
        }
        let hasHeaders = tokenizer.id(ofSpecial: "<|start_header_id|>") != nil
        let template: ConversationTemplate =
            hasHeaders ? .llavaLlama31 : tokenizer.family == .sentencePiece ? .vicunaV1 : .plain
        return TemplateChoice(template: template, chatTemplate: kind)
    }

    /// Classifies by substrings of the published templates, because their spacing differs between uploads.
    private static func kind(of jinja: String?) -> ChatTemplateKind {
        guard let jinja, !jinja.isEmpty else { return .none }
        guard jinja.contains("<|start_header_id|>") else { return .other }
        if jinja.contains("Cutting Knowledge Date") { return .late }
        return jinja.contains("<|eot_id|>") ? .early : .other
    }
}
