import Foundation
import Testing
import Tokenizers

/// Every string and every id list of case09, against the ids and texts of the reference's tokenizers.
@Suite struct TokenizerGoldenTests {
    @Test func `Llama-3 ids and decodes equal the reference's`() throws {
        let tokenizer = try TokenizerGolden.llama3()
        let expected = try TokenizerGolden.expected(TokenizerGolden.llama3Folder, as: TokenizerGolden.Llama3.self)
        #expect(tokenizer.vocabularySize == expected.vocab_len)
        #expect(tokenizer.beginID == expected.bos_id)
        #expect(tokenizer.endID == expected.eos_id)
        #expect(expected.strings.count == 205)
        let begin = try #require(tokenizer.beginID)
        for entry in expected.strings {
            let ids = tokenizer.encode(entry.text, parseSpecial: true)
            #expect(ids == entry.ids, "\(entry.text.debugDescription)")
            #expect([begin] + ids == entry.ids_with_bos)
            let raw = tokenizer.decode(entry.ids, skipSpecial: false, cleanUp: false)
            #expect(same(raw, entry.decode_raw), "\(entry.text.debugDescription)")
            let skipped = tokenizer.decode(entry.ids, skipSpecial: true, cleanUp: false)
            #expect(same(skipped, entry.decode_skip_special), "\(entry.text.debugDescription)")
            #expect(same(tokenizer.decode(entry.ids_with_bos), entry.decode_default), "\(entry.text.debugDescription)")
        }
        #expect(expected.decode_random_ids.count == 40)
        for entry in expected.decode_random_ids {
            #expect(same(tokenizer.decode(entry.ids, skipSpecial: false, cleanUp: false), entry.decode_raw))
            #expect(same(tokenizer.decode(entry.ids), entry.decode_default_skip_special), "\(entry.ids)")
        }
    }

    @Test func `Llama-3 chat texts and image prompts equal the reference's`() throws {
        let tokenizer = try TokenizerGolden.llama3()
        let begin = try #require(tokenizer.beginID)
        let expected = try TokenizerGolden.expected(TokenizerGolden.llama3Folder, as: TokenizerGolden.Llama3.self)
        #expect(expected.chat_template.count == 12 && expected.conversation.count == 12)
        for chat in expected.chat_template {
            let ids = [begin] + tokenizer.encode(chat.text, parseSpecial: true)
            #expect(ids == chat.ids_of_text_as_plain_call, "\(chat.text)")
        }
        for entry in expected.conversation {
            #expect(imageTokenIDs(entry.prompt, tokenizer) == entry.tokenizer_image_token_ids, "\(entry.question)")
        }
    }

    @Test(arguments: ["both", "tokenizer.json", "tokenizer.model"])
    func `Sentencepiece ids and decodes equal the slow tokenizer's`(_ files: String) throws {
        let expected = try TokenizerGolden.expected(
            TokenizerGolden.sentencePieceFolder, as: TokenizerGolden.SentencePiece.self)
        #expect(expected.strings.count == 205)
        let loaded = try withTemporaryFolder { folder in
            for name in ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"]
            where files == "both" || name == files || name.contains("_") {
                try FileManager.default.copyItem(
                    at: TokenizerGolden.sentencePieceFolder.appending(path: name), to: folder.appending(path: name))
            }
            return try #require(try TokenizerLoader.load(folder: folder) as? SentencePieceTokenizer)
        }
        #expect(!loaded.legacy, "tokenizer_config.json says legacy false")
        #expect(loaded.vocabularySize == expected.vocab_len)
        #expect(loaded.beginID == 1 && loaded.endID == 2 && loaded.addsBegin && !loaded.cleansUpSpaces)
        let (old, new) = (loaded.with(legacy: true), loaded.with(legacy: false))
        for entry in expected.strings {
            #expect([1] + old.encode(entry.text, parseSpecial: true) == entry.slow_legacy_true, "\(entry.text)")
            #expect([1] + new.encode(entry.text, parseSpecial: true) == entry.slow_legacy_false, "\(entry.text)")
            #expect(old.encode(entry.text) == entry.sp_encode, "\(entry.text)")
            #expect(new.encode(entry.text) == entry.sp_encode, "\(entry.text)")
            #expect(same(old.decode(entry.slow_legacy_true), entry.decode_slow_legacy_true), "\(entry.text)")
            #expect(same(new.decode(entry.slow_legacy_false), entry.decode_slow_legacy_false), "\(entry.text)")
        }
        #expect(expected.decode_random_ids.count == 40)
        for entry in expected.decode_random_ids {
            #expect(same(new.decode(entry.ids), entry.slow_legacy_false), "\(entry.ids)")
        }
    }

    @Test func `Sentencepiece image prompts equal the reference's`() throws {
        let expected = try TokenizerGolden.expected(
            TokenizerGolden.sentencePieceFolder, as: TokenizerGolden.SentencePiece.self)
        #expect(expected.conversation.count == 32)
        let old = try TokenizerGolden.sentencePiece(legacy: true)
        let new = try TokenizerGolden.sentencePiece(legacy: false)
        for entry in expected.conversation {
            #expect(imageTokenIDs(entry.prompt, old) == entry.ids_slow_legacy_true, "\(entry.prompt)")
            #expect(imageTokenIDs(entry.prompt, new) == entry.ids_slow_legacy_false, "\(entry.prompt)")
        }
    }

    @Test(arguments: ["tokenizer.json", "vocab.json"])
    func `CLIP ids equal the fast tokenizer's`(_ file: String) throws {
        let expected = try TokenizerGolden.expected(TokenizerGolden.clipFolder, as: TokenizerGolden.CLIP.self)
        #expect(expected.strings.count == 205)
        let tokenizer = try withTemporaryFolder { folder in
            for name in try FileManager.default.contentsOfDirectory(atPath: TokenizerGolden.clipFolder.path)
            where file == "tokenizer.json" || name != "tokenizer.json" {
                try FileManager.default.copyItem(
                    at: TokenizerGolden.clipFolder.appending(path: name), to: folder.appending(path: name))
            }
            return try TokenizerLoader.loadCLIP(folder: folder)
        }
        #expect(tokenizer.vocabularySize == expected.vocab_len)
        #expect(tokenizer.maximumLength == 32)
        for entry in expected.strings {
            let full = tokenizer.encodeForTower(entry.text, length: 1000, parseSpecial: true)
            #expect(Array(full.ids.prefix(full.count)) == entry.fast, "\(entry.text.debugDescription)")
            let padded = tokenizer.encodeForTower(entry.text, parseSpecial: true)
            #expect(padded.ids == entry.fast_padded_truncated_32, "\(entry.text.debugDescription)")
            #expect(padded.count == min(entry.fast.count, 32))
        }
    }

    @Test(arguments: ["clipmodel_legacy_eos2", "clipmodel_eos_last"])
    func `The tokenizers of the two-tower checkpoints give the stored ids`(_ name: String) throws {
        let root = TokenizerGolden.root.appending(path: "case07_clip")
        let tokenizer = try TokenizerLoader.loadCLIP(folder: root.appending(path: name))
        let texts = [
            "a photo of a cat", "two dogs, running in the street at night", "a red car", "What is the man doing?",
        ]
        let stored = try int64Tensor("\(name).input_ids", in: root.appending(path: "inputs.safetensors"))
        #expect(texts.flatMap { tokenizer.encodeForTower($0).ids } == stored)
    }

    @Test func `CLIP decodes to lower-cased words`() throws {
        let tokenizer = try TokenizerLoader.loadCLIP(folder: TokenizerGolden.clipFolder)
        #expect(tokenizer.decode(tokenizer.encodeForTower("A photo of Ünal").ids, cleanUp: false) == "a photo of ünal ")
        #expect(tokenizer.family == .clip)
        #expect(throws: TokenizerError.self) { try TokenizerLoader.loadCLIP(folder: TokenizerGolden.llama3Folder) }
    }
}
