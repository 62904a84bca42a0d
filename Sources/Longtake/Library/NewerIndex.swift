internal import Foundation
internal import Store

/// An index that a newer program made: it is left alone, and named where somebody asks for it.
struct NewerIndex: CustomStringConvertible {
    let path: String
    let indexID: String
    let version: Int
    /// "vid_…", where the manifest still says it as this version's do.
    let recording: String?

    var description: String {
        "\(path) has format version \(version), this program knows version \(IndexKey.currentFormatVersion): use a newer one"
    }

    /// Whether it is meant by an id or the start of one.
    func matches(_ name: String) -> Bool {
        [recording, indexID].contains { $0 == name || name.count >= 8 && $0?.hasPrefix(name) == true }
    }

    /// What of a manifest can be read whatever its version.
    private struct Head: Decodable {
        struct Manifest: Decodable {
            struct Key: Decodable { var content: String? }
            var key: Key?
        }
        var format: Int
        var manifest: Manifest?
    }

    /// Nil for a folder without a manifest of a newer version.
    init?(folder: String) {
        let url = URL(filePath: folder, directoryHint: .isDirectory)
        guard let data = CacheDirectory.contents(folder + "/manifest.json").map({ Data($0) }),
            let format = try? JSONDecoder().decode(Version.self, from: data).format,
            format > IndexKey.currentFormatVersion
        else { return nil }
        path = folder
        indexID = url.lastPathComponent
        version = format
        recording = (try? JSONDecoder().decode(Head.self, from: data))?.manifest?.key?.content.map {
            Library.id(content: $0)
        }
    }

    private struct Version: Decodable { var format: Int }
}

extension Library {
    /// The indexes of newer versions; `known` are those that can be read.
    func newerIndexes(beside known: [Manifest]) -> [NewerIndex] {
        let readable = Set(known.map(\.key.id))
        let folder = URL(filePath: cache.path(indexID: "x")).deletingLastPathComponent().path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().filter { !readable.contains($0) }.compactMap { NewerIndex(folder: folder + "/" + $0) }
    }
}
