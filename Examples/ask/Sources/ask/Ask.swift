import Longtake

/// Indexes a recording and asks a question about it: `ask MODEL LIBRARY RECORDING QUESTION`.
@main
enum Ask {
    static func main() async throws {
        DecodeWorkerProcess.runIfRequested()
        let arguments = CommandLine.arguments
        guard arguments.count == 5 else { return print("usage: ask MODEL LIBRARY RECORDING QUESTION") }
        let session = try await AnalysisSession(
            model: arguments[1], library: RecordingLibrary(folder: arguments[2]))

        let indexing = session.index(arguments[3])
        for await progress in indexing.updates {
            print("\(progress.frames) of \(progress.framesTotal.map(String.init) ?? "?") frames")
        }
        let recording = try await indexing.value

        let answer = try await session.ask(Question(text: arguments[4]), about: recording.id).value
        print(answer.answer)
        for evidence in answer.evidence {
            print("seen from \(evidence.start) s to \(evidence.end) s")
        }
    }
}
