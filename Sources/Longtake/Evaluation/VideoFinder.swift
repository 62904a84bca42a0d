internal import Foundation
internal import Glibc
internal import SystemCalls

/// Finds the videos of a benchmark below a folder.
final class VideoFinder {
    /// Where a video is.
    enum Location: Equatable {
        case file(InputPath)
        /// It cannot be asked about; the reason says why.
        case missing(reason: String)
    }

    private let root: String
    private var known: [EvaluationQuestion.Video: Location] = [:]
    /// The paths below the root by name, and by name without suffix; only read if a video is not where it should be.
    private lazy var tree = VideoFinder.list(root)

    /// - Throws: `LongtakeError` `bad_request` if the folder does not exist.
    init(_ root: String) throws {
        self.root = root.hasSuffix("/") && root.count > 1 ? String(root.dropLast()) : root
        guard InputPath(root).isFolder else {
            throw LongtakeError(code: .badRequest, message: "\(root): no such folder of videos")
        }
    }

    /// The video's file: in one of its folders or the root, else anywhere below by its name.
    func find(_ video: EvaluationQuestion.Video) -> Location {
        if let location = known[video] { return location }
        let location = direct(video) ?? searched(video)
        known[video] = location
        return location
    }

    private func direct(_ video: EvaluationQuestion.Video) -> Location? {
        for folder in video.folders + [""] {
            for name in video.names {
                let path = (folder.isEmpty ? root : root + "/" + folder) + "/" + name
                for suffix in [""] + Self.suffixes.map({ "." + $0 }) {
                    let file = InputPath(path + suffix)
                    if file.exists, !file.isFolder { return .file(file) }
                }
                if InputPath(path).isFolder {
                    return .missing(
                        reason: "a folder of images: make it a video beside it, for example with "
                            + "ffmpeg -framerate 3 -i \(name)/%05d.jpg \(name).mp4")
                }
            }
        }
        return nil
    }

    private func searched(_ video: EvaluationQuestion.Video) -> Location {
        for name in video.names {
            let last = name.split(separator: "/").last.map(String.init) ?? name
            let found = tree.names[last] ?? tree.stems[last] ?? tree.stems[QuestionEntry.stem(last)] ?? []
            let preferred = found.filter { path in video.folders.contains { path.contains("/\($0)/") } }
            let paths = preferred.isEmpty ? found : preferred
            guard let first = paths.first else { continue }
            // The same video in the folders of several tasks, or different ones of the same name?
            let sizes = Set(paths.map { (try? SystemCall.status(of: $0))?.st_size ?? -1 })
            guard sizes.count == 1 else {
                return .missing(reason: "several files of this name: \(paths.prefix(3).joined(separator: ", "))")
            }
            return .file(InputPath(first))
        }
        return .missing(reason: "not in \(root)")
    }

    private static let suffixes = ["mp4", "mkv", "webm", "avi", "mov", "MP4", "MKV", "AVI", "MOV"]

    private static func list(_ root: String) -> (names: [String: [String]], stems: [String: [String]]) {
        var (names, stems) = ([String: [String]](), [String: [String]]())
        guard let paths = FileManager.default.enumerator(atPath: root) else { return ([:], [:]) }
        for case let path as String in paths {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            let suffix = name.split(separator: ".").last.map { $0.lowercased() } ?? ""
            guard InputWalker.suffixes.contains(suffix) else { continue }
            names[name, default: []].append(root + "/" + path)
            stems[QuestionEntry.stem(name), default: []].append(root + "/" + path)
        }
        return (names.mapValues { $0.sorted() }, stems.mapValues { $0.sorted() })
    }
}
