internal import Checkpoints
internal import Foundation
internal import Glibc
internal import Models
internal import Tensors
internal import Tokenizers

/// How well a language model predicts a text: e to the mean negative log-probability of its tokens.
package struct Perplexity: Sendable, Codable {
    /// The text's file, as given.
    package let text: String
    /// Tokens of the text.
    package let tokens: Int
    /// Tokens whose probability was computed.
    package let scored: Int
    /// Mean negative log-probability of a token, in nats.
    package let crossEntropy: Double
    /// e to the cross entropy.
    package var perplexity: Double { exp(crossEntropy) }

    private enum CodingKeys: String, CodingKey {
        case text, tokens, scored, perplexity
        case crossEntropy = "cross_entropy"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        text = try container.decode(String.self, forKey: .text)
        tokens = try container.decode(Int.self, forKey: .tokens)
        scored = try container.decode(Int.self, forKey: .scored)
        crossEntropy = try container.decode(Double.self, forKey: .crossEntropy)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(text, forKey: .text)
        try container.encode(tokens, forKey: .tokens)
        try container.encode(scored, forKey: .scored)
        try container.encode(crossEntropy, forKey: .crossEntropy)
        try container.encode(perplexity, forKey: .perplexity)
    }

    init(text: String, tokens: Int, scored: Int, crossEntropy: Double) {
        (self.text, self.tokens, self.scored, self.crossEntropy) = (text, tokens, scored, crossEntropy)
    }
}

/// Measures the perplexity of a folder's language model: a plain Llama, or the one inside a LLaVA-Mini.
///
/// A text is cut into windows of `context` tokens, each predicted from its own tokens alone. If the tokenizer has a
/// begin token, every window begins with it; otherwise the first token of a window is not scored.
package final class PerplexityMeter {
    /// The precision of the computation.
    package let precision: String
    /// Tokens per window.
    package let context: Int
    private let folder: URL
    private let model: LanguageModel
    private let cancellation: Cancellation
    private var tokenizer: (any Tokenizer)?

    /// Loads the language model in `path`.
    ///
    /// - Parameter context: tokens per window, at least 2; nil: `defaultContext`, or the model's context if smaller.
    /// - Throws: the errors of loading a checkpoint; `LongtakeError` if it has no language model or for a bad context.
    package init(
        path: String, settings: ModelSettings, context: Int? = nil, cancellation: Cancellation = Cancellation()
    ) throws {
        let loaded = try LanguageFolder(path: path, settings: settings)
        let limit = loaded.model.config.maxPositions
        if let context, !(2...limit).contains(context) {
            throw LongtakeError(
                code: .badRequest, message: "a context of \(context) tokens; \(path) takes 2 to \(limit)")
        }
        self.context = context ?? min(Self.defaultContext, limit)
        self.cancellation = cancellation
        folder = URL(fileURLWithPath: path, isDirectory: true)
        model = loaded.model
        precision = loaded.precision
    }

    /// Tokens per window if none is given.
    package static let defaultContext = 1024
    /// The longest text, in bytes.
    static let textLimit = 64 << 20

    /// Measures a text file, which the folder's tokenizer encodes; "-" is standard input.
    ///
    /// - Parameter progress: gets the tokens done and in total.
    /// - Throws: `LongtakeError` for a file that cannot be read; `TokenizerError`; as `measure(ids:)`.
    package func measure(textFile path: InputPath, progress: (Int, Int) -> Void = { _, _ in }) throws -> Perplexity {
        let tokenizer = try self.tokenizer ?? TokenizerLoader.load(folder: folder)
        self.tokenizer = tokenizer
        let ids = tokenizer.encode(try read(path))
        return try measure(
            ids, name: path.description, begin: tokenizer.addsBegin ? tokenizer.beginID : nil, progress: progress)
    }

    /// Measures a text given as token IDs.
    ///
    /// - Throws: `LongtakeError` `bad_request` for fewer than two IDs or an ID outside the vocabulary.
    package func measure(
        ids: [Int32], name: String, progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> Perplexity {
        if let unknown = ids.first(where: { !model.isInVocabulary($0) }) {
            throw LongtakeError(
                code: .badRequest,
                message: "\(name): unknown token ID \(unknown); the model has 0 to \(model.config.vocabularySize - 1)")
        }
        return try measure(ids, name: name, begin: nil, progress: progress)
    }

    private func measure(
        _ ids: [Int32], name: String, begin: Int32?, progress: (Int, Int) -> Void
    ) throws -> Perplexity {
        guard ids.count >= 2 else {
            throw LongtakeError(
                code: .badRequest, message: "\(name): \(counted(ids.count, "token")); use a text of at least two")
        }
        let length = begin == nil ? context : context - 1
        var (sum, scored) = (0.0, 0)
        for start in stride(from: 0, to: ids.count, by: length) {
            try cancellation.check()
            let window = ids[start..<min(start + length, ids.count)]
            let values = try model.logProbabilities(of: (begin.map { [$0] } ?? []) + window)
            sum -= values.reduce(0, +)
            scored += values.count
            progress(window.endIndex, ids.count)
        }
        return Perplexity(text: name, tokens: ids.count, scored: scored, crossEntropy: sum / Double(scored))
    }

    private func read(_ path: InputPath) throws -> String {
        let name = path.isStandardInput ? "standard input" : path.description
        let source: FileBytes
        let descriptor: Int32?
        if path.isStandardInput {
            (source, descriptor) = (try FileBytes(path: "-", cancellation: cancellation), nil)
        } else {
            do {
                let opened = try path.open(O_RDONLY | O_NONBLOCK)
                source = FileBytes(descriptor: opened, name: name, cancellation: cancellation)
                descriptor = opened
            } catch {
                throw LongtakeError(code: .badRequest, message: "\(name): cannot be read: \(error)")
            }
        }
        defer { if let descriptor { close(descriptor) } }
        guard let bytes = try source.all(limit: Self.textLimit) else {
            throw LongtakeError(
                code: .badRequest, message: "\(name): larger than \(Self.textLimit) bytes; use a part of it")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw LongtakeError(code: .badRequest, message: "\(name): not valid UTF-8")
        }
        return text
    }
}
