import Foundation
import TestSupport
import Testing
import Tokenizers

/// The splitting expressions' corners, and texts large enough to show a quadratic step.
@Suite struct PretokenSplitterTests {
    private func llama3(_ text: String) -> [String] {
        var pieces: [String] = []
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            PretokenSplitter.splitLlama3(bytes) { pieces.append(String(decoding: bytes[$0], as: UTF8.self)) }
        }
        return pieces
    }

    private func clip(_ text: String) -> [String] {
        var pieces: [String] = []
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            PretokenSplitter.splitCLIP(bytes) { pieces.append(String(decoding: bytes[$0], as: UTF8.self)) }
        }
        return pieces
    }

    // The expected pieces are those of tokenizers 0.19.1 (Oniguruma) with the same expression.
    static let llama3Pieces: [[String]] = [
        ["it", "'ſ", "ad"],
        ["ſad"],
        ["'ſ", " '", "S", "'s"],
        ["x", "'LL", "x", " '", "Rex", "'vE", "'d", "M", "'m"],
        ["'lx", " '", "rx", " '", "v"],
        ["a", " ", " b", "  ", " c"],
        [" \n", " ", " x", " \r\n \n", "  "],
        ["!?\r\n\n", " ", " y"],
        ["123", "45", " ", "½¾²", "³", " ", "Ⅷ"],
        ["\u{A0}nbsp", "\u{A0}", "\u{3000}x"],
        ["\u{85}", "\u{85}", "1", "\u{2028}"],
        ["x", "  "],
        ["\n\n\n", "x", "\n"],
        ["'''", "s"],
        [" !", "a", " !!?", "b", "\n"],
        ["\u{200D}join", " e", "\u{301}t"],
        ["\t", "\tx", " ", "\t", "1"],
        ["你好", "，世界", " ", "１２３", "４"],
        ["\u{0}a", "\u{1C}\u{1F}", "b"],
        ["\u{180E}\u{2060}", "x"],
        ["🇫🇷👍🏽", " ok"],
        ["ーーﾞ", " ؆", " ", "٣٤٥", "٦"],
        ["𝒳", "𝟘𝟙𝟚", "𝟛", " 𐍅"],
        ["'ſ", "ſ", "'ſ", "e"],
        ["'ſ", "t", " '", "ﬅ"],
    ]
    static let clipPieces: [(String, [String])] = [
        ("it'ſad's", ["it", "'", "ſad", "'s"]),
        ("don't can't", ["don", "'t", "can", "'t"]),
        ("a1b22", ["a", "1", "b", "2", "2"]),
        ("''s !'s", ["''", "s", "!'", "s"]),
        ("x\u{A0}y\u{3000}\u{85}z", ["x", "y", "z"]),
        ("'lx 'll", ["'", "lx", "'ll"]),
        ("e\u{301} ½", ["e", "\u{301}", "½"]),
        ("<|startoftext|>", ["<|", "startoftext", "|>"]),
    ]

    @Test(arguments: llama3Pieces)
    func `Text splits where Llama-3's expression does`(_ parts: [String]) {
        #expect(llama3(parts.joined()) == parts)
    }

    @Test(arguments: clipPieces)
    func `Text splits where CLIP's expression does`(_ text: String, _ parts: [String]) {
        #expect(clip(text) == parts)
    }

    @Test func `Every text comes back from its ids`() throws {
        let tokenizer = try TokenizerGolden.llama3()
        var random = SeededNumbers(state: 7)
        let alphabet = Array("aZſß'sT 09\n\r\t!?.é你😀\u{200D}\u{300}\u{A0}\u{3000}\u{0}<|>".unicodeScalars)
        for _ in 0..<500 {
            var text = ""
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                text.unicodeScalars.append(alphabet.randomElement(using: &random) ?? " ")
            }
            #expect(same(tokenizer.decode(tokenizer.encode(text), skipSpecial: false, cleanUp: false), text))
        }
    }

    @Test(arguments: ["a", " ", "\n", "ab", "hello", "你", "😀", "1", "!", " \n", "<", "\u{301}", "'s"])
    func `A megabyte of one thing is encoded and comes back`(_ unit: String) throws {
        let text = String(repeating: unit, count: (1 << 20) / unit.utf8.count)
        let llama = try TokenizerGolden.llama3()
        #expect(same(llama.decode(llama.encode(text, parseSpecial: true), cleanUp: false), text))
        let vicuna = try TokenizerGolden.sentencePiece(legacy: false)
        let ids = vicuna.encode(text)
        #expect(!ids.isEmpty && ids.allSatisfy { $0 >= 0 && $0 < 1200 })
        let clip = try TokenizerLoader.loadCLIP(folder: TokenizerGolden.clipFolder)
        #expect(clip.encodeForTower(text).ids.count == 32)
    }
}
