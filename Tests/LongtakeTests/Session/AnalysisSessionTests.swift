import Foundation
import Longtake
import Testing

extension LongtakeTests {
    @Suite struct AnalysisSessionTests {
        private func settings() throws -> ModelSettings {
            try ModelSettings(precision: "f32", backend: nil, threads: 2)
        }

        private func session(_ folder: Folder) async throws -> AnalysisSession {
            try await AnalysisSession(
                model: Shared.model, library: RecordingLibrary(folder: folder.path), settings: settings())
        }

        /// 720 frames: one sealed segment of 600, and an open one.
        private func manyFrames() -> IndexOptions {
            var options = IndexOptions()
            options.framesPerSecond = 60
            return options
        }

        @Test func `a recording is indexed, listed and asked about`() async throws {
            let folder = try Folder()
            let session = try await session(folder)
            let indexing = session.index(Shared.video)
            var last: IndexProgress?
            for await progress in indexing.updates { last = progress }
            let recording = try await indexing.value
            #expect(last?.frames == 12 && recording.frames == 12)

            let library = RecordingLibrary(folder: folder.path)
            #expect(try library.recordings().map(\.id) == [recording.id])
            #expect(try library.recordings(matching: Shared.video).map(\.index) == [recording.index])

            let answering = session.ask(question(), about: recording.id)
            var text = ""
            for await piece in answering.updates { text += piece }
            let answer = try await answering.value
            #expect(answer.answer == text && answer.frames == 12)
            // The same as without a session.
            let analyzer = Analyzer(
                model: try LoadedModel(path: Shared.model, settings: settings()), library: try folder.library())
            #expect(try analyzer.ask(question(), about: Shared.video).tokenIDs == answer.tokenIDs)
        }

        @Test func `callers in several tasks wait for each other`() async throws {
            let folder = try Folder()
            let session = try await session(folder)
            let texts = (0..<6).map { "What happens in part \($0)?" }
            let alone = try await session.ask(texts.map { question($0) }, about: Shared.video).value.map(\.tokenIDs)
            let together = try await withThrowingTaskGroup(of: (Int, [Int32]).self) { group in
                for (place, text) in texts.enumerated() {
                    group.addTask {
                        (place, try await session.ask(question(text), about: Shared.video).value.tokenIDs)
                    }
                }
                return try await group.reduce(into: [Int: [Int32]]()) { $0[$1.0] = $1.1 }
            }
            #expect(texts.indices.map { together[$0] } == alone)
        }

        @Test func `canceling one operation leaves the others`() async throws {
            let folder = try Folder()
            let session = try await session(folder)
            let indexing = session.index(Shared.video, options: manyFrames())
            let next = session.index(Shared.video)
            let waiting = session.ask(question(), about: Shared.video, options: manyFrames())
            waiting.cancel()
            for await progress in indexing.updates where progress.frames > 0 {
                indexing.cancel()
                break
            }
            await #expect { try await indexing.value } throws: { ($0 as? Failure)?.code == "interrupted" }
            await #expect { try await waiting.value } throws: { ($0 as? Failure)?.code == "interrupted" }
            #expect(try await next.value.frames == 12)
            // Canceling what is done changes nothing.
            next.cancel()
            #expect(try await session.ask(question(), about: Shared.video).value.frames == 12)
        }

        @Test func `canceling the task that waits cancels the work`() async throws {
            let folder = try Folder()
            let session = try await session(folder)
            let indexing = session.index(Shared.video, options: manyFrames())
            let waiter = Task { try await indexing.value }
            for await progress in indexing.updates where progress.frames > 0 {
                waiter.cancel()
                break
            }
            await #expect { try await waiter.value } throws: { ($0 as? Failure)?.code == "interrupted" }
        }

        @Test func `a session that is released ends`() async throws {
            let folder = try Folder()
            weak var released: AnalysisSession?
            do {
                let session = try await session(folder)
                _ = try await session.plan(Shared.video)
                released = session
            }
            // The thread may hold it until its last job has returned.
            let deadline = ContinuousClock.now + .seconds(30)
            while released != nil, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
            #expect(released == nil)
        }

        @Test func `errors are failures that name what failed`() async throws {
            let folder = try Folder()
            await #expect {
                try await AnalysisSession(
                    model: folder.path + "/nosuch", library: RecordingLibrary(folder: folder.path))
            } throws: {
                ($0 as? Failure)?.message.contains("/nosuch") == true
            }
            let session = try await session(folder)
            await #expect {
                try await session.index("/nosuch.mp4").value
            } throws: {
                ($0 as? Failure)?.message.contains("/nosuch.mp4") == true
            }
            await #expect {
                try await session.search("a red car")
            } throws: {
                ($0 as? Failure)?.code == "unsupported_model"
            }
        }
    }
}
