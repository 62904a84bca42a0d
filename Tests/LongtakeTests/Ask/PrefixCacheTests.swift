import Foundation
import Longtake
import Store
import Testing

extension LongtakeTests {
    /// The prefix cache saves work and changes no answer.
    @Suite struct PrefixCacheTests {
        /// 100 frames: more than the 64 that are fused.
        private static func longVideo(in folder: Folder) throws -> String {
            let path = folder.path + "/long.mp4"
            try makeVideo(to: path, seconds: 100)
            return path
        }

        /// One pass over the whole sample: a second pass is fused with other frames.
        private func one(_ text: String = "What happens in the video?") -> Question {
            var one = question(text)
            (one.focus, one.fusionError) = (.off, 0)
            return one
        }

        private func derived(_ library: Library) -> [String] {
            files(in: library.cache.derivedPath)
        }

        private func options(_ keep: IndexOptions.Keep? = nil) -> IndexOptions {
            var options = IndexOptions()
            options.keep = keep
            return options
        }

        @Test(arguments: [PrefixCache.Policy.now, .lazy])
        func theSecondQuestionFindsIt(policy: PrefixCache.Policy) throws {
            let folder = try Folder()
            let library = try folder.library()
            let model = try nano()
            let analyzer = Analyzer(model: model, library: library, prefixCache: policy)
            let video = try Self.longVideo(in: folder)
            let made = try analyzer.index(video, options: options())
            #expect(derived(library).count == (policy == .now ? 1 : 0))
            let first = try analyzer.ask(one(), about: video)
            #expect(first.reused == (policy == .now))
            #expect(derived(library).count == 1 && derived(library).allSatisfy { $0.hasPrefix(made.index + ".") })
            // Another process: nothing but the files is shared.
            let other = Analyzer(model: try nano(), library: try folder.library())
            let second = try other.ask(one(), about: video)
            #expect(second.reused && second.tokenIDs == first.tokenIDs && second.fusion == first.fusion)
            #expect(first.fusion.frames == 64 && first.fusion.of == 100)
            #expect(first.fusion.relativeStandardError ?? 0 > 0)
            #expect(second.evidence == first.evidence)
            let never = Analyzer(model: model, library: library, prefixCache: .never)
            let computed = try never.ask(one(), about: video)
            #expect(!computed.reused && computed.tokenIDs == first.tokenIDs && computed.evidence == first.evidence)
        }

        /// Several questions, a range, all frames: each kind has its own, and none answers for another.
        @Test func rangesAndModesAreKeptApart() throws {
            let folder = try Folder()
            let library = try folder.library()
            let model = try nano()
            let video = try Self.longVideo(in: folder)
            var asked: [Question] = []
            for (from, to) in [(nil, nil), (10.0, 90.0), (10, 30), (40, 41)] as [(Double?, Double?)] {
                for fusion in [FusionMode.automatic, .exact] {
                    var question = one("Who comes in?")
                    (question.from, question.to, question.fusion) = (from, to, fusion)
                    asked.append(question)
                }
            }
            let warm = Analyzer(model: model, library: library, prefixCache: .lazy)
            let cold = Analyzer(model: model, library: library, prefixCache: .never)
            for question in asked {
                let answers = try [cold, warm, warm].map { try $0.ask(question, about: video) }
                // Of a short range all frames are fused either way: the second mode finds what the first one kept.
                let isShort = answers[0].frames <= 64
                #expect(!answers[0].reused && answers[1].reused == (isShort && question.fusion == .exact))
                #expect(answers[2].reused == (answers[2].fusion.frames <= 64))
                #expect(Set(answers.map(\.tokenIDs)).count == 1 && Set(answers.map(\.fusion.frames)).count == 1)
            }
            // A short range is exact either way: two of the eight are the same work twice.
            #expect(derived(library).count == 6)
        }

        /// A sample whose error is small enough is not fused whole: decided by what is fused, not by what was kept.
        @Test func aSampleEndsWhereItsErrorIsSmallEnough() throws {
            let folder = try Folder()
            let library = try folder.library()
            let model = try nano()
            let video = try Self.longVideo(in: folder)
            let warm = Analyzer(model: model, library: library, prefixCache: .lazy)
            let cold = Analyzer(model: model, library: library, prefixCache: .never)
            var errors: [Double] = []
            for (enough, frames) in [(0.0, 64), (0.9, 8)] {
                var question = one()
                question.fusionError = enough
                let answers = try [cold, warm, warm].map { try $0.ask(question, about: video) }
                #expect(answers[2].reused)
                for answer in answers {
                    #expect(answer.fusion.frames == frames && answer.fusion.of == 100)
                    #expect(answer.tokenIDs == answers[0].tokenIDs && answer.fusion == answers[0].fusion)
                }
                errors.append(try #require(answers[0].fusion.relativeStandardError))
                // Questions that are asked together have each their own.
                var both: [Answer] = []
                try warm.ask([question, question], about: InputPath(video), options: IndexOptions()) { both.append($1) }
                #expect(both.count == 2)
                #expect(both.allSatisfy { $0.fusion == answers[0].fusion && $0.tokenIDs == answers[0].tokenIDs })
                // Turns of a conversation use the whole sample.
                let turn = try warm.converse(about: InputPath(video), settings: question, options: IndexOptions())
                #expect(try turn.ask(question.text).fusion.frames == 64)
                // What is short is fused whole.
                question.to = 40
                #expect(try warm.ask(question, about: video).fusion == .exact(40))
            }
            #expect(errors[0] > 0 && errors[1] > 0)
        }

        /// A flipped byte is noticed wherever it is; the cache is then computed again.
        @Test func damagedFilesAreRecomputed() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library, prefixCache: .lazy)
            let first = try analyzer.ask(one(), about: Shared.video)
            let name = try #require(derived(library).first)
            let path = library.cache.derivedPath + "/" + name
            let whole = try Data(contentsOf: URL(filePath: path))
            for place in [0, 9, 13, 20, 30, 60, 700, 4100, whole.count / 2, whole.count - 5000] {
                var bytes = whole
                bytes[place] ^= 0x10
                try bytes.write(to: URL(filePath: path))
                let again = try analyzer.ask(one(), about: Shared.video)
                #expect(again.tokenIDs == first.tokenIDs, "byte \(place)")
                #expect(try analyzer.ask(one(), about: Shared.video).reused)
                try whole.write(to: URL(filePath: path))
            }
            for count in [0, 3, 24, 4096, whole.count / 2] {
                try whole.prefix(count).write(to: URL(filePath: path))
                let again = try analyzer.ask(one(), about: Shared.video)
                #expect(!again.reused && again.tokenIDs == first.tokenIDs, "\(count) bytes")
            }
        }

        /// A state that takes hours to compute is not lost when the work ends early: the next question goes on with it.
        @Test(arguments: [Duration.seconds(600), .zero])
        func anInterruptedOneGoesOn(interval: Duration) throws {
            let folder = try Folder()
            let library = try folder.library()
            let model = try nano()
            let filled = try RandomRecords.fill(model, library, frames: 3000)
            let recording = InputPath(filled.id)
            let cold = Analyzer(model: model, library: library, prefixCache: .never)
            let expected = try cold.ask(one(), about: recording, options: options())

            let cancellation = Cancellation()
            let stopped = Analyzer(
                model: model, library: library, prefixCache: .lazy, cancellation: cancellation,
                partialInterval: interval)
            var savedBefore = 0
            #expect(throws: (any Error).self) {
                _ = try stopped.ask(
                    one(), about: recording, options: options(),
                    progress: { done in
                        guard done > 0.8, !cancellation.isCancelled else { return }
                        savedBefore = derived(library).count
                        cancellation.cancel()
                    })
            }
            #expect(savedBefore == (interval == .zero ? 1 : 0))
            #expect(derived(library).count == 1)
            let path = library.cache.derivedPath + "/" + (try #require(derived(library).first))
            let partial = try Data(contentsOf: URL(filePath: path))

            for damaged in [true, false] {
                var bytes = partial
                if damaged { bytes[bytes.count / 2] ^= 1 }
                for name in derived(library) {
                    try FileManager.default.removeItem(atPath: library.cache.derivedPath + "/" + name)
                }
                try bytes.write(to: URL(filePath: path))
                var fractions: [Double] = []
                let next = Analyzer(model: try nano(), library: try folder.library(), prefixCache: .lazy)
                let answer = try next.ask(
                    one(), about: recording, options: options(), progress: { fractions.append($0) })
                #expect(answer.tokenIDs == expected.tokenIDs && answer.evidence == expected.evidence)
                // Slices of 512 rows: those of the first four fifths were computed again only after the damage.
                let again = fractions.filter { $0 > 0.65 && $0 < 0.8 }
                #expect(again.isEmpty != damaged, "\(fractions)")
                #expect(derived(library).count == 1 && derived(library) != [URL(filePath: path).lastPathComponent])
                #expect(try next.ask(one(), about: recording, options: options()).reused)
            }
        }

        @Test func itGoesWithItsIndex() throws {
            let folder = try Folder()
            let library = try folder.library()
            let analyzer = Analyzer(model: try nano(), library: library, prefixCache: .now)
            let made = try analyzer.index(Shared.video, options: options())
            #expect(derived(library).count == 1)
            try library.cache.remove(indexID: made.index)
            #expect(derived(library).isEmpty)
        }

        /// The frames that a long range is fused with are those whose patches stay: the answer does too.
        @Test func answersDoNotDependOnWhichPatchesAreKept() throws {
            let folder = try Folder()
            let model = try nano()
            let video = folder.path + "/longer.mp4"
            try makeVideo(to: video, seconds: 300)
            let answers = try [IndexOptions.Keep.patches, .tokens].map { keep in
                let library = try folder.library(keep.rawValue)
                let analyzer = Analyzer(model: model, library: library, prefixCache: .never)
                return try analyzer.ask(one(), about: video, options: options(keep))
            }
            #expect(answers[0].fusion == answers[1].fusion && answers[0].fusion.frames == 64)
            #expect(answers[0].tokenIDs == answers[1].tokenIDs)
        }

        @Test func aFullOrReadOnlyCacheAnswersAllTheSame() throws {
            let folder = try Folder()
            let model = try nano()
            let small = try Library(
                cachePath: folder.path + "/small/cache", dataPath: folder.path + "/small/data", cacheMax: "1M")
            let analyzer = Analyzer(model: model, library: small, prefixCache: .lazy)
            let first = try analyzer.ask(one(), about: Shared.video)
            let second = try analyzer.ask(one(), about: Shared.video)
            #expect(!second.reused && derived(small).isEmpty)
            #expect(first.tokenIDs == second.tokenIDs)
        }
    }
}
