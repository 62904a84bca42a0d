internal import Foundation
internal import Glibc
internal import Media
internal import Store
internal import SystemCalls

/// The clips of one recording in a folder: a video, an image and a JSON file each.
///
/// The JSON file is written last: a clip that has one is complete. Files of other origin are never replaced.
struct ClipFolder {
    private static let temporaryPrefix = ".longtake-clip-"
    /// Seconds after which a temporary file is that of a killed run.
    private static let staleAfter = 86_400.0
    /// Longest JSON file that is read back, in bytes.
    private static let maxSidecar = 16 << 20

    let path: String
    private let recording: String
    /// By the name of the clip without its suffix.
    private(set) var sidecars: [String: ClipSidecar] = [:]

    /// Creates the folder if it is missing, and reads what is there.
    ///
    /// - Parameter recording: the recording's ID; clips of others are not this folder's.
    /// - Throws: `Failure` `cannot_write`.
    init(_ path: String, recording: String) throws {
        try ThumbnailFolder.create(path)
        (self.path, self.recording) = (path, recording)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] {
            if name.hasPrefix(Self.temporaryPrefix) { removeStale(name) }
            guard name.hasSuffix(".json"), let sidecar = read(name) else { continue }
            sidecars[String(name.dropLast(5))] = sidecar
        }
    }

    private func removeStale(_ name: String) {
        guard let status = try? SystemCall.linkStatus(of: file(name)), status.st_mode & S_IFMT == S_IFREG,
            Date().timeIntervalSince1970 - Double(status.st_mtim.tv_sec) > Self.staleAfter
        else { return }
        unlink(file(name))
    }

    private func read(_ name: String) -> ClipSidecar? {
        guard let status = try? SystemCall.status(of: file(name)), status.st_mode & S_IFMT == S_IFREG,
            status.st_size <= Self.maxSidecar, let data = FileManager.default.contents(atPath: file(name)),
            let sidecar = try? JSONDecoder().decode(ClipSidecar.self, from: data),
            sidecar.format == ClipSidecar.format, sidecar.recording.id == recording
        else { return nil }
        return sidecar
    }

    private func file(_ name: String) -> String { path + "/" + name }

    /// The complete clip that shows all of a plan's evidence; nil if there is none.
    func clip(for plan: ClipPlan, margin: Double) -> String? {
        for (name, sidecar) in sidecars.sorted(by: { $0.key < $1.key }) where sidecar.margin == margin {
            let known = sidecar.evidence.map(\.planned)
            guard plan.items.allSatisfy({ known.contains($0.planned) }), sidecar.clip.file.hasPrefix(name + "."),
                !sidecar.clip.file.contains("/"), let status = try? SystemCall.status(of: file(sidecar.clip.file)),
                Int64(status.st_size) == sidecar.clip.bytes,
                sidecar.clip.thumbnail.map({ FileManager.default.fileExists(atPath: file($0)) }) ?? true
            else { continue }
            return file(sidecar.clip.file)
        }
        return nil
    }

    /// Calls `body` with an empty file in the folder, which is removed afterwards if it was not renamed.
    ///
    /// - Throws: `Failure` `cannot_write`.
    func withTemporary<Result>(_ body: (_ path: String, _ descriptor: Int32) throws -> Result) throws -> Result {
        let temporary = file(Self.temporaryPrefix + UUID().uuidString)
        let descriptor: Int32
        do {
            descriptor = try SystemCall.open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
        } catch {
            throw Failure.cannotWrite(path, error)
        }
        defer {
            close(descriptor)
            unlink(temporary)
        }
        return try body(temporary, descriptor)
    }

    /// Gives the finished temporary file its name, and writes the image and the JSON file.
    ///
    /// - Throws: `Failure` `cannot_write` also for a file of the name that is no clip of this recording.
    mutating func publish(
        _ temporary: String, _ descriptor: Int32, name: String, _ sidecar: ClipSidecar, image: [UInt8]?
    ) throws {
        let (clip, json) = (file(sidecar.clip.file), file(name + ".json"))
        let bytes = Array((try JSONText.pretty(sidecar) + "\n").utf8)
        do {
            if sidecars[name] == nil {
                if FileManager.default.fileExists(atPath: clip),
                    !FileManager.default.contentsEqual(atPath: clip, andPath: temporary)
                {
                    throw Self.foreign(clip)
                }
                if FileManager.default.fileExists(atPath: json) { throw Self.foreign(json) }
                if let image, let thumbnail = sidecar.clip.thumbnail,
                    let there = FileManager.default.contents(atPath: file(thumbnail)), there != Data(image)
                {
                    throw Self.foreign(file(thumbnail))
                }
            }
            try SystemCall.sync(descriptor)
            guard rename(temporary, clip) == 0 else { throw SystemError.last }
            if let image, let thumbnail = sidecar.clip.thumbnail { try WholeFile.write(image, to: file(thumbnail)) }
            try WholeFile.write(bytes, to: json)
        } catch let error as Failure {
            throw error
        } catch {
            throw Failure.cannotWrite(clip, error)
        }
        sidecars[name] = sidecar
    }

    private static func foreign(_ path: String) -> Failure {
        Failure(
            code: "cannot_write",
            message: "\(path): exists, and is not a clip of this recording; move it away or choose another folder",
            exitCode: Exit.space)
    }
}
