import Foundation
import Testing

import Store

/// Numbers of files that say they are whole and cannot be true: damage, never the end of the program.
@Suite struct ManifestTests {
    private static let extremes = [-1, Int(UInt32.max) + 1, 1 << 47, Int.max - 1, Int.max, Int.min]

    private static func summary(_ old: SegmentSummary, _ key: String, _ value: Int) -> SegmentSummary {
        SegmentSummary(
            file: old.file, first: key == "first" ? value : old.first, count: key == "count" ? value : old.count,
            bytes: key == "bytes" ? value : old.bytes, checksum: old.checksum)
    }

    private static func change(_ manifest: inout Manifest, _ key: String, _ value: Int) {
        switch key {
        case "frames": manifest.frames = value
        case "size": manifest.fileSize = Int64(value)
        case "duration": manifest.duration = Double(value) * 1e280
        case "start": manifest.start = -abs(Double(value)) * 1e280
        case let part where part.hasPrefix("patch."):
            let files = manifest.patches.files.map { summary($0, String(part.dropFirst(6)), value) }
            manifest.patches = PatchFiles(kept: manifest.patches.kept, files: files)
        default: manifest.segments = manifest.segments.map { summary($0, key, value) }
        }
    }

    @Test(arguments: [
        "frames", "size", "duration", "start", "first", "count", "bytes", "patch.first", "patch.count", "patch.bytes",
    ])
    func ofAManifest(key: String) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(5, to: cache)
        let path = cache.indexPath(Sample.key())
        let whole = try cache.manifest(indexID: Sample.key().id)
        for value in Self.extremes where !(key == "size" && value >= 0) {
            var manifest = whole
            Self.change(&manifest, key, value)
            try ManifestFile.save(manifest, directory: path)
            #expect(throws: StoreError.self, "\(key) \(value)") { try IndexReader(directory: path) }
            // A scan reads no patches.
            if !key.hasPrefix("patch.") {
                #expect(throws: StoreError.self, "\(key) \(value)") {
                    try IndexScan(cache: cache, indexID: Sample.key().id)
                }
            }
            // Adds everything up.
            _ = try cache.contents().map { ($0.bytes, $0.patchBytes, $0.manifest?.bytes, $0.manifest?.hasAllPatches) }
            #expect(try !cache.check(readData: false).damage.isEmpty, "\(key) \(value)")
            _ = try cache.shrink(to: 0, dryRun: true)
        }
        try ManifestFile.save(whole, directory: path)
        #expect(try IndexReader(directory: path).entries.count == 5)
    }
}
