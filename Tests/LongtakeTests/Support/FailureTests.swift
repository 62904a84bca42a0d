import Foundation
import Longtake
import Media
import Testing

/// Every layer's error becomes one type with a code, a message and an exit status.
@Suite struct FailureTests {
    private let error = MediaError(code: .emptyFile, message: "empty file")

    @Test func keepsTheErrorItIsMadeFrom() {
        let failure = Failure(error, subject: "day.mp4")
        #expect(failure.code == "empty_file" && failure.exitCode == Exit.input)
        #expect(failure.message == "day.mp4: empty file")
        #expect((failure.underlying as? MediaError)?.code == .emptyFile)
    }

    @Test func hasItsSubjectOnce() {
        let failure = Failure(Failure(error, subject: "day.mp4"), subject: "night.mp4")
        #expect(failure.message == "day.mp4: empty file")
        #expect(failure.underlying is MediaError)
    }

    @Test func unknownErrorIsAFailure() {
        let failure = Failure(CocoaError(.fileNoSuchFile))
        #expect(failure.code == "failure" && failure.exitCode == 1 && !failure.message.isEmpty)
    }

    @Test func jsonHasNoUnderlyingError() throws {
        let json = try JSONSerialization.jsonObject(with: JSONEncoder().encode(Failure(error))) as? [String: Any]
        #expect(json?.keys.sorted() == ["code", "exit_code", "message"])
    }
}
