internal import Media
internal import Store

extension IndexOptions {
    /// Checks that the file was not changed within the minimum age.
    ///
    /// - Throws: `LongtakeError` `growing`.
    func checkAge(_ file: RecordingFile) throws {
        if let growing = growing(file.displayPath, modified: file.modified) { throw growing }
    }

    /// The error of a file that was changed within the minimum age; nil if it was not, or cannot be found.
    func growing(_ path: InputPath) -> LongtakeError? {
        guard minimumAge > 0, let status = FileFingerprint(path: path.absolute.bytes) else { return nil }
        return growing(path.description, modified: status.modified)
    }

    /// The error of a file that was changed within the minimum age; nil if it was not.
    ///
    /// - Parameter modified: in nanoseconds since 1970; a time in the future is that of a wrong clock.
    func growing(_ path: String, modified: Int64) -> LongtakeError? {
        guard minimumAge > 0 else { return nil }
        let age = (Double(FileFingerprint.now) - Double(modified)) / 1e9
        return age >= 0 && age < minimumAge ? .growing(path, age: age, minimumAge) : nil
    }

    /// The number of frames for the container's duration, whatever the limit; nil if it has none.
    func frameCount(_ info: RecordingInfo) -> Int? {
        // Only reading the whole file tells the number of key frames.
        guard !samplesKeyFrames else { return nil }
        return info.duration.map { Int(saturating: (min($0, maxDuration) * framesPerSecond).rounded(.up)) }
    }
}
