import Foundation
import Models
import Testing

/// The splitting expressions' corners, and texts large enough to show a quadratic step.
@Suite struct TokenizerSplitTests {
    /// The ids of pieces encoded one by one: what a text must give when it splits so.
    private func pieces(_ tokenizer: any Tokenizer, _ parts: [String]) -> [Int32] {
        parts.flatMap { tokenizer.encode($0) }
    }

    @Test(
        arguments: [
            // The long s folds to s after an apostrophe, and only there.
            (["it", "'ſ", "ad"], true), (["ſad"], true), (["'LL", "x"], true), (["'Re", "x"], true), (["'lx"], true),
            ([" ", " x"], true), (["  ", " x"], true), (["\n\n", "x"], true), ([" \n", " x"], true),
            ([" \r\n \n", "  "], true),
            (["!?\r\n\n", " ", " y"], true), (["123", "45"], true), (["\u{A0}nbsp"], true),
            (["\u{85}", "\u{85}", "1"], true),
            (["a", "\n", "b"], true), (["x", "  "], true), (["½¾²", "³"], true), ([" !a"], false),
        ] as [([String], Bool)])
    func `Text splits where Llama-3's expression does`(_ parts: [String], _ equal: Bool) throws {
        let tokenizer = try TokenizerGolden.llama3()
        #expect((tokenizer.encode(parts.joined()) == pieces(tokenizer, parts)) == equal)
    }

    @Test func `Every text comes back from its ids`() throws {
        let tokenizer = try TokenizerGolden.llama3()
        var random = SplitMix(state: 7)
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
