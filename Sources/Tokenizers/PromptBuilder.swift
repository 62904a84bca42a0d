/// A question as input of the language model.
public struct Prompt: Sendable, Equatable {
    /// A part of the prompt for display.
    public enum Part: Sendable, Equatable {
        /// Text of the template; special tokens by name.
        case template(String)
        /// Text of the user, or an earlier answer.
        case user(String)
        /// The vision tokens.
        case image
    }

    /// The ID in whose place the vision tokens go, `IMAGE_TOKEN_INDEX` in LLaVA.
    public static let imageTokenIndex: Int32 = -200

    /// Token IDs; `imageTokenIndex` occurs at most once.
    public var ids: [Int32]
    /// The prompt in parts, for display.
    public var parts: [Part]

    /// The index of `imageTokenIndex`; nil if there is no image.
    public var imageIndex: Int? { ids.firstIndex(of: Self.imageTokenIndex) }
    /// The prompt as text, with the image as `<image>`.
    public var text: String {
        parts.map { part in
            switch part {
            case .template(let text), .user(let text): text
            case .image: "<image>"
            }
        }.joined()
    }
}

/// A question of an earlier turn and its answer.
public struct PromptTurn: Sendable, Equatable {
    /// The question.
    public var question: String
    /// The model's answer.
    public var answer: String

    /// A turn of a conversation.
    public init(question: String, answer: String) {
        self.question = question
        self.answer = answer
    }
}

/// Builds prompts from segments: special tokens come only from the template's code, user text is always plain text.
///
/// The IDs equal those of the reference's `tokenizer_image_token` over its prompt string, including the Llama
/// templates' double begin token. One difference: user text that looks like a special token or `<image>` stays text,
/// while the reference would interpret it. Every prompt ends where the assistant's text begins, or
/// with its given start.
public struct PromptBuilder: Sendable {
    /// The prompt format.
    public let template: ConversationTemplate
    private let tokenizer: any Tokenizer
    private let system: String
    private let specials: [String: Int32]

    /// A builder for one template and system text.
    ///
    /// - Parameter system: the system text; nil uses the template's default.
    /// - Throws: `TokenizerError` if the tokenizer lacks a special token that the template needs.
    public init(tokenizer: any Tokenizer, template: ConversationTemplate, system: String? = nil) throws {
        self.tokenizer = tokenizer
        self.template = template
        self.system = system ?? template.defaultSystem
        let needed: [String] =
            switch template {
            case .llavaLlama31, .llavaLlama3:
                [Marker.begin, Marker.startHeader, Marker.endHeader, Marker.endTurn].map(\.rawValue)
            case .vicunaV1, .llavaV1: [Marker.endText.rawValue]
            case .llavaV0, .plain: []
            }
        var specials: [String: Int32] = [:]
        for token in needed {
            guard let id = tokenizer.id(ofSpecial: token) else {
                throw TokenizerError.specialMissing(token, template: template.rawValue)
            }
            specials[token] = id
        }
        self.specials = specials
    }

    private enum Marker: String {
        case begin = "<|begin_of_text|>"
        case startHeader = "<|start_header_id|>"
        case endHeader = "<|end_header_id|>"
        case endTurn = "<|eot_id|>"
        case endText = "</s>"
    }

    private enum Segment {
        case fixed(String)
        case user(String)
        case marker(Marker)
        case image
    }

    /// Builds a prompt; the image, if any, belongs to the first turn.
    ///
    /// Throws if `question` violates `QuestionRules`; the history's questions must have been validated before.
    /// - Parameter answerStart: how the assistant's text begins, which the model continues; text like the template's.
    public func build(
        question: String, history: [PromptTurn] = [], withImage: Bool, answerStart: String = ""
    ) throws -> Prompt {
        try QuestionRules.validate(question)
        var segments =
            switch template {
            case .llavaLlama31: llama(history, question, withImage, trimmed: true)
            case .llavaLlama3: llama(history, question, withImage, trimmed: false)
            case .vicunaV1, .llavaV1: vicuna(history, question, withImage)
            case .llavaV0: versionZero(history, question, withImage)
            case .plain: plain(history, question, withImage)
            }
        if !answerStart.isEmpty { segments.append(.fixed(template.answerSeparator + answerStart)) }
        return Prompt(ids: ids(of: segments), parts: parts(of: segments))
    }

    /// Encodes every chunk between images separately, as the reference does: sentencepiece adds a dummy space to each.
    private func ids(of segments: [Segment]) -> [Int32] {
        var ids: [Int32] = []
        if tokenizer.addsBegin, let begin = tokenizer.beginID { ids.append(begin) }
        var chunk: [PromptPiece] = []
        for segment in segments {
            switch segment {
            case .fixed(let text), .user(let text): chunk.append(.text(text))
            case .marker(let marker):
                if let id = specials[marker.rawValue] { chunk.append(.special(id)) }
            case .image:
                ids += tokenizer.encode(chunk)
                ids.append(Prompt.imageTokenIndex)
                chunk.removeAll()
            }
        }
        return ids + tokenizer.encode(chunk)
    }

    private func parts(of segments: [Segment]) -> [Prompt.Part] {
        var parts: [Prompt.Part] = []
        for segment in segments {
            switch segment {
            case .fixed(""), .user(""): break
            case .user(let text): parts.append(.user(text))
            case .image: parts.append(.image)
            case .fixed(let text): append(text, to: &parts)
            case .marker(let marker): append(marker.rawValue, to: &parts)
            }
        }
        return parts
    }

    private func append(_ text: String, to parts: inout [Prompt.Part]) {
        if case .template(let before)? = parts.last {
            parts[parts.count - 1] = .template(before + text)
        } else {
            parts.append(.template(text))
        }
    }

    // MARK: The templates

    /// The first message contains the image and a line break before its text.
    private func message(_ text: String, image: Bool, trimmed: Bool = false) -> [Segment] {
        guard image else { return [.user(trimmed ? PythonSpace.strip(text) : text)] }
        // The template trims the whole content including the image, so only the end of the text is trimmed; if the text
        // is all white space, the line break is trimmed too.
        let text = trimmed ? Self.trimmedEnd(text) : text
        return trimmed && text.isEmpty ? [.image] : [.image, .fixed("\n"), .user(text)]
    }

    private static func trimmedEnd(_ text: String) -> String {
        let bytes = Array(text.utf8)
        return String(decoding: bytes.dropLast(PythonSpace.trailingCount(bytes[...])), as: UTF8.self)
    }

    private func header(_ role: String) -> [Segment] {
        [.marker(.startHeader), .fixed(role), .marker(.endHeader), .fixed("\n\n")]
    }

    private func llama(_ history: [PromptTurn], _ question: String, _ image: Bool, trimmed: Bool) -> [Segment] {
        var segments: [Segment] = [.marker(.begin)]
        segments += header("system") + [.fixed(trimmed ? PythonSpace.strip(system) : system), .marker(.endTurn)]
        for (index, turn) in history.enumerated() {
            segments += header("user") + message(turn.question, image: image && index == 0, trimmed: trimmed)
            segments += [.marker(.endTurn)] + header("assistant")
            segments += [.user(trimmed ? PythonSpace.strip(turn.answer) : turn.answer), .marker(.endTurn)]
        }
        segments += header("user") + message(question, image: image && history.isEmpty, trimmed: trimmed)
        return segments + [.marker(.endTurn)] + header("assistant")
    }

    private func vicuna(_ history: [PromptTurn], _ question: String, _ image: Bool) -> [Segment] {
        var segments: [Segment] = [.fixed(system + " ")]
        for (index, turn) in history.enumerated() {
            segments += [.fixed("USER: ")] + message(turn.question, image: image && index == 0)
            segments += [.fixed(" ASSISTANT: "), .user(turn.answer), .marker(.endText)]
        }
        return segments + [.fixed("USER: ")] + message(question, image: image && history.isEmpty)
            + [.fixed(" ASSISTANT:")]
    }

    private func versionZero(_ history: [PromptTurn], _ question: String, _ image: Bool) -> [Segment] {
        var segments: [Segment] = [.fixed(system + "###")]
        for (index, turn) in history.enumerated() {
            segments += [.fixed("Human: ")] + message(turn.question, image: image && index == 0)
            segments += [.fixed("###Assistant: "), .user(turn.answer), .fixed("###")]
        }
        return segments + [.fixed("Human: ")] + message(question, image: image && history.isEmpty)
            + [.fixed("###Assistant:")]
    }

    private func plain(_ history: [PromptTurn], _ question: String, _ image: Bool) -> [Segment] {
        var segments: [Segment] = system.isEmpty ? [] : [.fixed(system)]
        for (index, turn) in history.enumerated() {
            segments += message(turn.question, image: image && index == 0)
            segments += [.fixed("\n"), .user(turn.answer), .fixed("\n")]
        }
        return segments + message(question, image: image && history.isEmpty) + [.fixed("\n")]
    }
}
