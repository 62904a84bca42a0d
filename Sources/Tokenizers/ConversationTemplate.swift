public import Foundation

/// How a question is put to a model: the reference's conversation modes, by their names there.
public enum ConversationTemplate: String, Sendable, CaseIterable {
    /// Llama-3.1 as LLaVA-Mini was trained: the early chat template, with the begin token twice and trimmed texts.
    case llavaLlama31 = "llava_llama_3_1"
    /// The same built by hand in the reference: texts are not trimmed.
    case llavaLlama3 = "llava_llama_3"
    case vicunaV1 = "vicuna_v1"
    case llavaV1 = "llava_v1"
    case llavaV0 = "llava_v0"
    /// The question and a line break, nothing else.
    case plain

    /// The template of a name in the reference, aliases included, or nil.
    public init?(name: String) {
        switch name {
        case "v1": self = .vicunaV1
        case "llama_3_1": self = .llavaLlama31
        default:
            guard let template = ConversationTemplate(rawValue: name) else { return nil }
            self = template
        }
    }

    /// The system text the reference puts first.
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

/// Which template a model's folder asks for, and what its chat template is like.
public struct TemplateChoice: Sendable, Equatable {
    /// The Jinja text in tokenizer_config.json. It is never run.
    public enum ChatTemplateKind: String, Sendable {
        case none
        /// Llama-3's and the first Llama-3.1's: the assistant header is always appended. The checkpoint was trained so.
        case early
        /// The later Llama-3.1's: date lines before the system text, an assistant header only on request. The prompt is
        /// built as for `early` all the same: without the header the model would first write it into its answer.
        case late
        case other
    }

    public var template: ConversationTemplate
    public var chatTemplate: ChatTemplateKind

    public init(template: ConversationTemplate, chatTemplate: ChatTemplateKind) {
        self.template = template
        self.chatTemplate = chatTemplate
    }

    /// Chooses by `conv_mode` in tokenizer_config.json or config.json, else by the tokenizer.
    ///
    /// Llama-3's headers among the special tokens: `llava_llama_3_1`; sentencepiece: `vicuna_v1`; otherwise `plain`.
    /// Throws `TokenizerError` when a file is malformed or names a template that is not known.
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

    /// Judged by what the published templates contain; their spacing differs from one upload to the next.
    private static func kind(of jinja: String?) -> ChatTemplateKind {
        guard let jinja, !jinja.isEmpty else { return .none }
        guard jinja.contains("<|start_header_id|>") else { return .other }
        if jinja.contains("Cutting Knowledge Date") { return .late }
        return jinja.contains("<|eot_id|>") ? .early : .other
    }
}
