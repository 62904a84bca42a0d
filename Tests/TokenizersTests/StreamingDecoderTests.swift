import Foundation
import TestSupport
import Testing
import Tokenizers

/// Pieces of a stream must add up to the decoded whole, whatever the ids.
@Suite struct StreamingDecoderTests {
    // Python's str.strip, written down a second time.
    private func stripped(_ text: String) -> String {
        func isSpace(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
        }
        var scalars = text.unicodeScalars
        while let last = scalars.last, isSpace(last) { scalars.removeLast() }
        while let first = scalars.first, isSpace(first) { scalars.removeFirst() }
        return String(scalars)
    }

    private func check(_ ids: [Int32], _ tokenizer: any Tokenizer, cleanUp: Bool? = nil) {
        for skip in [true, false] {
            var decoder = StreamingDecoder(tokenizer: tokenizer, skipSpecial: skip, cleanUp: cleanUp)
            let pieces = ids.map { decoder.append($0) }
            let text = pieces.joined() + decoder.finish()
            let whole = tokenizer.decode(ids, skipSpecial: skip, cleanUp: cleanUp)
            #expect(same(text, stripped(whole)), "\(ids)")
            var raw = StreamingDecoder(tokenizer: tokenizer, skipSpecial: skip, cleanUp: cleanUp, strip: false)
            let unstripped = ids.map { raw.append($0) }.joined() + raw.finish()
            #expect(same(unstripped, whole), "\(ids)")
        }
    }

    @Test func `Every golden string streams to its whole`() throws {
        let llama = try TokenizerGolden.llama3()
        let expected = try TokenizerGolden.expected(TokenizerGolden.llama3Folder, as: TokenizerGolden.Llama3.self)
        for entry in expected.strings { check(entry.ids_with_bos, llama) }
        for entry in expected.decode_random_ids { check(entry.ids, llama) }
        let pieces = try TokenizerGolden.expected(
            TokenizerGolden.sentencePieceFolder, as: TokenizerGolden.SentencePiece.self)
        for legacy in [true, false] {
            let vicuna = try TokenizerGolden.sentencePiece(legacy: legacy)
            for entry in pieces.strings {
                check(entry.slow_legacy_true, vicuna)
                check(entry.slow_legacy_true, vicuna, cleanUp: true)
            }
            for entry in pieces.decode_random_ids { check(entry.ids, vicuna) }
        }
    }

    @Test(arguments: 0..<8)
    func `Random ids stream to their whole`(_ seed: UInt64) throws {
        var random = SeededNumbers(state: seed)
        let tokenizers: [any Tokenizer] = [
            try TokenizerGolden.llama3(), try TokenizerGolden.sentencePiece(legacy: true),
            try TokenizerGolden.sentencePiece(legacy: false),
        ]
        for tokenizer in tokenizers {
            // Ids of what the clean-up touches, so that its rules meet each other in every order.
            let touched = Set(" .?!,'ntmsver\n".map { tokenizer.encode(String($0)) }.joined())
            let delicate = Array(touched).sorted() + [tokenizer.endID ?? 0]
            for _ in 0..<300 {
                let size = Int.random(in: 0...24, using: &random)
                check((0..<size).map { _ in delicate.randomElement(using: &random) ?? 0 }, tokenizer, cleanUp: true)
                let limit = Int32(tokenizer.vocabularySize)
                check((0..<size).map { _ in Int32.random(in: -2..<limit + 2, using: &random) }, tokenizer)
            }
        }
    }

    @Test func `An incomplete character waits, and a broken one is replaced`() throws {
        let tokenizer = try TokenizerGolden.llama3()
        let ids = "🧿é".utf8.compactMap { byte in (0..<256).first { tokenizer.tokenBytes($0) == [byte] } }
        #expect(ids.count == 6)
        var decoder = StreamingDecoder(tokenizer: tokenizer)
        #expect(ids.map { decoder.append($0) } == ["", "", "", "🧿", "", "é"])
        #expect(decoder.finish() == "")
        var cut = StreamingDecoder(tokenizer: tokenizer)
        #expect(ids.prefix(3).map { cut.append($0) } == ["", "", ""])
        #expect(cut.finish() == "\u{FFFD}")
    }

    @Test func `Words leave the stream before it ends`() throws {
        let tokenizer = try TokenizerGolden.llama3()
        var decoder = StreamingDecoder(tokenizer: tokenizer)
        var text = ""
        for id in tokenizer.encode("The quick brown fox") { text += decoder.append(id) }
        #expect(text.hasPrefix("The quick brown"))
    }
}
