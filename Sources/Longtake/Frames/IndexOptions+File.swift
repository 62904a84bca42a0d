internal import Foundation
internal import Media

extension IndexOptions {
    /// Checks that the file was not changed within the minimum age.
    ///
    /// - Throws: `LongtakeError` `growing`.
    func checkAge(_ file: RecordingFile) throws {
        guard minimumAge > 0 else { return }
        let age = Date().timeIntervalSince1970 - Double(file.modified) / 1e9
        if age >= 0, age < minimumAge { throw LongtakeError.growing(file.displayPath, age: age, minimumAge) }
    }

    /// The number of frames for the container's duration, whatever the limit; nil if it has none.
    func frameCount(_ info: RecordingInfo) -> Int? {
        // Only reading the whole file tells the number of key frames.
        guard !samplesKeyFrames else { return nil }
        return info.duration.map { Int(saturating: (min($0, maxDuration) * framesPerSecond).rounded(.up)) }
    }
}
