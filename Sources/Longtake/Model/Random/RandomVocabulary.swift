internal import Checkpoints
import Tensors
internal import Tokenizers

/// A byte-level vocabulary in Llama 3's layout.
///
/// 256 bytes, merges of common words and of the template's words, invented words up to the requested size, then Llama
/// 3.1's 256 special tokens.
struct RandomVocabulary {
    static let specialCount = 256
    /// The special token that is `</s>` for a Vicuna.
    static let endIndex = 2

    private let shape: RandomCheckpoint.Shape
    private(set) var tokens: [String] = []
    private(set) var merges: [String] = []
    private var known: Set<String> = []

    init(_ shape: RandomCheckpoint.Shape) {
        self.shape = shape
        for byte in ByteAlphabet.scalars.sorted() {
            guard let scalar = UnicodeScalar(byte) else { continue }
            tokens.append(String(scalar))
        }
        known = Set(tokens)
        let words = Self.words.split(separator: " ").map(String.init)
        for word in words { chain("Ġ" + word) }
        for word in words { chain(word) }
        for word in words { chain("Ġ" + word.capital) }
        for word in words { chain(word.capital) }
        join("Ċ", "Ċ")
        invent()
    }

    private var isFull: Bool { tokens.count >= shape.regularTokens }

    /// Adds the token `left + right` if there is room and it is new; both parts are tokens already.
    private mutating func join(_ left: String, _ right: String) {
        guard !isFull, known.insert(left + right).inserted else { return }
        tokens.append(left + right)
        merges.append(left + " " + right)
    }

    /// Adds every prefix of a word, so that merges build it letter by letter.
    private mutating func chain(_ word: String) {
        var left = ""
        for letter in word {
            if !left.isEmpty { join(left, String(letter)) }
            left.append(letter)
        }
    }

    /// Adds words of one, two and three syllables until the vocabulary is full.
    private mutating func invent() {
        let syllables = "bdfghjklmnprstvwyz".flatMap { first in "aeiou".map { "\(first)\($0)" } }
        for syllable in syllables { chain(syllable) }
        for syllable in syllables { join("Ġ", syllable) }
        for begin in ["", "Ġ"] {
            for first in syllables { for second in syllables { join(begin + first, second) } }
        }
        for third in syllables where !isFull {
            for first in syllables { for second in syllables { join("Ġ" + first + second, third) } }
        }
    }

    /// The names of Llama 3.1's special tokens, in order of their IDs.
    static let specials: [String] = {
        var names = [
            "begin_of_text", "end_of_text", "reserved_special_token_0", "reserved_special_token_1",
            "finetune_right_pad_id", "reserved_special_token_2", "start_header_id", "end_header_id", "eom_id",
            "eot_id", "python_tag",
        ]
        names += (3...247).map { "reserved_special_token_\($0)" }
        return names.map { "<|\($0)|>" }
    }()

    private var specials: [String] {
        var names = Self.specials
        if shape.isVicuna { names[Self.endIndex] = "</s>" }
        return names
    }

    /// Returns tokenizer.json, tokenizer_config.json and special_tokens_map.json.
    func files() -> [(name: String, text: String)] {
        let ends: [String: JSONValue] = [
            "bos_token": .string(Self.specials[0]), "eos_token": .string(Self.specials[9]),
        ]
        return [
            ("tokenizer.json", tokenizer()),
            ("tokenizer_config.json", JSONValue.object(settings(ends)).text(indented: true) + "\n"),
            ("special_tokens_map.json", JSONValue.object(ends).text(indented: true) + "\n"),
        ]
    }

    private static func added(_ name: String) -> [String: JSONValue] {
        [
            "content": .string(name), "single_word": .bool(false), "lstrip": .bool(false), "rstrip": .bool(false),
            "normalized": .bool(false), "special": .bool(true),
        ]
    }

    private func settings(_ ends: [String: JSONValue]) -> [String: JSONValue] {
        var decoder: [String: JSONValue] = [:]
        for (index, name) in specials.enumerated() {
            decoder[String(shape.regularTokens + index)] = .object(Self.added(name))
        }
        // The chat template of the first Llama 3.1 release, which the checkpoint was trained with.
        let template =
            "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
            + "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + "
            + "'<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
            + "{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
        return ends.merging([
            "added_tokens_decoder": .object(decoder), "chat_template": .string(template),
            "clean_up_tokenization_spaces": .bool(true), "model_max_length": .integer(131_072),
            "model_input_names": .array([.string("input_ids"), .string("attention_mask")]),
            "tokenizer_class": .string("PreTrainedTokenizerFast"),
        ]) { _, new in new }
    }

    private func tokenizer() -> String {
        let special = specials.enumerated().map { index, name in
            JSONValue.object(
                Self.added(name).merging(["id": .integer(Int64(shape.regularTokens + index))]) { _, new in new })
        }
        let begin = Self.specials[0]
        let bytes: [String: JSONValue] = [
            "type": .string("ByteLevel"), "add_prefix_space": .bool(false), "trim_offsets": .bool(true),
            "use_regex": .bool(false),
        ]
        let split: [String: JSONValue] = [
            "type": .string("Split"), "behavior": .string("Isolated"), "invert": .bool(false),
            "pattern": .object(["Regex": .string(PretokenSplitter.llama3Pattern)]),
        ]
        let template: [String: JSONValue] = [
            "type": .string("TemplateProcessing"),
            "single": .array([Self.piece("SpecialToken", begin, 0), Self.piece("Sequence", "A", 0)]),
            "pair": .array([
                Self.piece("SpecialToken", begin, 0), Self.piece("Sequence", "A", 0),
                Self.piece("SpecialToken", begin, 1), Self.piece("Sequence", "B", 1),
            ]),
            "special_tokens": .object([
                begin: .object([
                    "id": .string(begin), "ids": .array([.integer(Int64(shape.regularTokens))]),
                    "tokens": .array([.string(begin)]),
                ])
            ]),
        ]
        // Built by hand where the order matters: the JSON writer sorts keys, but a vocabulary is easiest to read by ID.
        var text = "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"normalizer\":null,\n\"added_tokens\":"
        text += JSONValue.array(special).text(indented: true)
        text += ",\n\"pre_tokenizer\":"
        text += JSONValue.object([
            "type": .string("Sequence"), "pretokenizers": .array([.object(split), .object(bytes)]),
        ]).text()
        text += ",\n\"post_processor\":" + JSONValue.object(template).text()
        text += ",\n\"decoder\":" + JSONValue.object(bytes).text()
        text += ",\n\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,"
        text += "\"end_of_word_suffix\":null,\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":true,\n"
        text += "\"vocab\":{\n"
        for (id, token) in tokens.enumerated() {
            text += JSONValue.quoted(token) + ":\(id)" + (id + 1 < tokens.count ? ",\n" : "\n")
        }
        text += "},\n\"merges\":[\n"
        for (rank, merge) in merges.enumerated() {
            text += JSONValue.quoted(merge) + (rank + 1 < merges.count ? ",\n" : "\n")
        }
        return text + "]}}\n"
    }

    private static func piece(_ kind: String, _ id: String, _ type: Int64) -> JSONValue {
        .object([kind: .object(["id": .string(id), "type_id": .integer(type)])])
    }

    private static let words = """
        the of and to a in is that it was for on are as with his they at be this from have or by one had not but what all \
        were when we there can an your which their said if do will each about how up out them then she many some so these \
        would other into has more her two like him see time could no make than first been its who now people my made over \
        did down only way find use may water long little very after words called just where most know video frame shows \
        person man woman walking standing holding looking camera scene room table street car tree white black red blue \
        green image picture text answer question seconds minutes begins ends before during left right \
        system user assistant helpful language vision able understand visual content provides assist variety tasks using natural
        """
}

extension String {
    fileprivate var capital: String { prefix(1).uppercased() + dropFirst() }
}
