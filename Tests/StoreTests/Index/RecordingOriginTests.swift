import Foundation
import Store
import Testing

/// When and where a recording was made, in its index's manifest.
@Suite struct RecordingOriginTests {
    private static let origin = RecordingOrigin(
        camera: "front", cameraSource: .path,
        start: RecordingStart(
            instant: 1_795_961_109.25, zone: "Europe/Berlin", zoneSource: .chosen, source: .path, detail: "%Y",
            uncertainty: 1),
        dates: ["creation_time": "2026-11-29T14:05:09Z"], notes: ["one"])

    /// An index keeps its frames, its readers and its other fields when its origin changes.
    @Test func itChangesAlone() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(9, to: cache)
        let id = Sample.key().id
        let before = try cache.manifest(indexID: id)
        #expect(before.origin == nil)
        let text = try String(contentsOfFile: cache.path(indexID: id) + "/manifest.json", encoding: .utf8)
        #expect(!text.contains("origin"), "an index of an earlier version has no such field")
        let reader = try IndexReader(cache: cache, key: Sample.key())
        let stamp = cache.manifestStamp(indexID: id)
        try cache.set(origin: Self.origin, indexID: id)
        #expect(cache.manifestStamp(indexID: id) != stamp)
        var after = try cache.manifest(indexID: id)
        #expect(after.origin == Self.origin)
        after.origin = nil
        #expect(after == before)
        #expect(try IndexReader(cache: cache, key: Sample.key()).entries == reader.entries)
        // Nothing is written where nothing changes.
        let second = cache.manifestStamp(indexID: id)
        try cache.set(origin: Self.origin, indexID: id)
        #expect(cache.manifestStamp(indexID: id) == second)
    }

    @Test func notWhileTheIndexIsWritten() throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(5, to: cache)
        let writer = try Sample.writer(cache)
        let error = #expect(throws: StoreError.self) {
            try cache.set(origin: Self.origin, indexID: Sample.key().id)
        }
        #expect(error?.code == .locked)
        writer.discard()
        #expect(throws: StoreError.self) { try cache.set(origin: Self.origin, indexID: "../x") }
    }

    @Test(arguments: [
        "instant", "zone", "camera", "uncertainty",
    ]) func impossibleValuesAreDamage(field: String) throws {
        let directory = try TemporaryDirectory(inMemory: true)
        let cache = try directory.cache()
        try Sample.write(5, to: cache)
        let id = Sample.key().id
        var origin = Self.origin
        switch field {
        case "instant": origin.start?.instant = 1e300
        case "zone": origin.start?.zone = String(repeating: "z", count: 65)
        case "camera": origin.camera = String(repeating: "c", count: 256)
        default: origin.start?.uncertainty = -1
        }
        var manifest = try cache.manifest(indexID: id)
        manifest.origin = origin
        try ManifestFile.save(manifest, directory: cache.path(indexID: id))
        let error = #expect(throws: StoreError.self) { try cache.manifest(indexID: id) }
        #expect(error?.code == .damaged)
    }
}
