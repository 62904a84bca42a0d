import Foundation
import Glibc
import Longtake
import Models
import Tensors
import Testing

/// All tests of this target run one after the other: each computes on all cores.
@Suite(.serialized) struct LongtakeTests {}

let fixtures = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(
    path: "Fixtures")
let golden = fixtures.appending(path: "golden").path

/// A folder of its own that vanishes with the value.
final class Folder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "longtake-facade-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func library(_ name: String = "library") throws -> Library {
        try Library(cachePath: "\(path)/\(name)/cache", dataPath: "\(path)/\(name)/data")
    }
}

/// What several tests read and none changes: two random models and a video, made once, removed at the end of the process.
enum Shared {
    /// Weights in f32, seed 1.
    static let model = made("model") { try RandomCheckpoint.write(.nano, type: .f32, to: $0, seed: 1) }
    /// The same shape with other weights.
    static let otherModel = made("other") { try RandomCheckpoint.write(.nano, type: .f32, to: $0, seed: 2) }
    /// 12 seconds at 25 frames a second, no two frames alike.
    static let video = made("video.mp4") { try makeVideo(to: $0) }

    private static let folder: String = {
        let path = NSTemporaryDirectory() + "longtake-facade-shared-\(getpid())"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        atexit {
            try? FileManager.default.removeItem(atPath: NSTemporaryDirectory() + "longtake-facade-shared-\(getpid())")
        }
        return path
    }()

    private static func made(_ name: String, _ make: (String) throws -> Void) -> String {
        let path = folder + "/" + name
        do {
            try make(path)
        } catch {
            Issue.record(error, "\(name) could not be made")
        }
        return path
    }
}

struct ToolFailed: Error {
    let arguments: [String]
    let status: Int32
}

func ffmpeg(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["ffmpeg", "-nostdin", "-v", "error", "-y"] + arguments
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw ToolFailed(arguments: arguments, status: process.terminationStatus)
    }
}

/// A test pattern of 320×240 at 25 frames a second.
func makeVideo(to path: String, source: String = "testsrc2", seconds: Int = 12, options: [String] = []) throws {
    try ffmpeg(
        ["-f", "lavfi", "-i", "\(source)=s=320x240:r=25:d=\(seconds)", "-c:v", "libx264", "-preset", "ultrafast"]
            + options + [path])
}

/// A model in f32 on the default backend.
func nano(
    _ path: String = Shared.model, precision: Precision = .f32, keyValues: String = "auto"
) throws -> LoadedModel {
    var settings = ModelSettings(precision: precision, threads: 2)
    try settings.set(keyValues: keyValues)
    return try LoadedModel(path: path, settings: settings)
}

/// A short question that even a random model answers in no time.
func question(_ text: String = "What happens in the video?", maxTokens: Int = 8) -> Question {
    Question(text, maxTokens: maxTokens)
}

/// The error's stable code, whatever layer it is from.
func code(of body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch {
        return Failure(error).code
    }
}

/// The files of a folder by their paths in it.
func files(in folder: String) -> [String] {
    (FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []).sorted()
}
