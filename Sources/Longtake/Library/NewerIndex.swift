internal import Foundation
internal import Store

/// An index of a newer format version, which is left alone and named in an error if it is requested.
struct NewerIndex: CustomStringConvertible {
    let path: String
    let indexID: String
    let version: Int
    /// Recording ID "vid_…", if the manifest has it under the same key as this version's.
    let recording: String?

    var description: String {
        "\(path) has format version \(version), this program reads up to version \(IndexKey.newestFormatVersion): use a newer program"
    }

    /// Returns true if `name` is one of its IDs or a prefix of one.
    func matches(_ name: String) -> Bool {
        [recording, indexID].contains { $0 == name || name.count >= 8 && $0?.hasPrefix(name) == true }
    }

    /// The fields of a manifest that may be readable in any version.
    private struct Head: Decodable {
        struct Manifest: Decodable {
            struct Key: Decodable { var content: String? }
            var key: Key?
        }
        var format: Int
        var manifest: Manifest?
    }

    /// Reads the manifest in a folder; nil if it is missing or not of a newer version.
    init?(folder: String) {
        let url = URL(filePath: folder, directoryHint: .isDirectory)
        guard let data = CacheDirectory.contents(folder + "/manifest.json").map({ Data($0) }),
            let format = try? JSONDecoder().decode(Version.self, from: data).format,
            format > IndexKey.newestFormatVersion
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
    /// Returns the indexes of newer versions; `known` are those that can be read.
    func newerIndexes(beside known: [Manifest]) -> [NewerIndex] {
        let readable = Set(known.map(\.key.id))
        let folder = URL(filePath: cache.path(indexID: "x")).deletingLastPathComponent().path
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().filter { !readable.contains($0) }.compactMap { NewerIndex(folder: folder + "/" + $0) }
    }
}
