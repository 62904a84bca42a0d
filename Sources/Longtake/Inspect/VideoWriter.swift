internal import Foundation
internal import Media

/// Encodes pictures of one size as a video, by the program `ffmpeg`.
final class VideoWriter {
    private let process = Process()
    private let input = Pipe()
    private let errors = URL(fileURLWithPath: NSTemporaryDirectory() + "/longtake-ffmpeg-" + UUID().uuidString)
    private let path: String

    /// Starts ffmpeg, which overwrites the file at `path`; the container follows from its name.
    ///
    /// - Throws: `Failure` `no_ffmpeg` if the program is not installed.
    init(to path: String, width: Int, height: Int, framesPerSecond: Double) throws {
        self.path = path
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        // Some players do not show a video of one picture per second: each is repeated.
        process.arguments = [
            "ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "rawvideo", "-pixel_format", "rgb24", "-video_size",
            "\(width)x\(height)", "-framerate", "\(framesPerSecond)", "-i", "pipe:0", "-r",
            "\(max(framesPerSecond, 5))", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "file:" + path,
        ]
        process.standardInput = input
        process.standardOutput = FileHandle.nullDevice
        // A file, not a pipe: ffmpeg would wait for a pipe that nobody reads.
        try? Data().write(to: errors)
        process.standardError = FileHandle(forWritingAtPath: errors.path) ?? FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            throw Self.missing
        }
    }

    private static var missing: Failure {
        Failure(
            code: "no_ffmpeg", message: "the program ffmpeg is not installed; a video needs it: apt install ffmpeg",
            exitCode: Exit.usage)
    }

    /// Appends a picture.
    ///
    /// - Throws: `Failure` with ffmpeg's message if it ended.
    func write(_ image: RGBImage) throws {
        do {
            try input.fileHandleForWriting.write(contentsOf: Data(image.pixels))
        } catch {
            throw ended()
        }
    }

    /// Ends the video and waits for ffmpeg.
    ///
    /// - Throws: `Failure` with ffmpeg's message if it failed.
    func finish() throws {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw ended() }
    }

    private func ended() -> Failure {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
        if process.terminationStatus == 127 { return Self.missing }
        let text = String(decoding: ((try? Data(contentsOf: errors)) ?? Data()).suffix(4096), as: UTF8.self)
        let line = text.split(separator: "\n").last.map(String.init) ?? "exit status \(process.terminationStatus)"
        return Failure(code: "cannot_write", message: "\(path): ffmpeg: \(line)", exitCode: Exit.space)
    }

    deinit {
        if process.isRunning { process.terminate() }
        try? FileManager.default.removeItem(at: errors)
    }
}
