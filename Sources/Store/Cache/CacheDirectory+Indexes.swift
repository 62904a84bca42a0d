// Opens and writes the indexes of a cache; the index key or ID gives the folder name.

extension IndexReader {
    /// Opens the index for `key`; throws `StoreError` `.notFound`, `.damaged`, `.newerFormat` or `.io`.
    public convenience init(cache: CacheDirectory, key: IndexKey) throws {
        let directory = cache.indexPath(key)
        let known = IndexKey.newestFormatVersion
        if key.formatVersion > known { throw StoreError.newer(directory, found: key.formatVersion, known: known) }
        try self.init(directory: directory)
        guard manifest.key == key else {
            throw StoreError.damagedManifest(directory + "/" + ManifestFile.name, "another key")
        }
    }

    /// Returns true if a readable manifest with this key exists; the segments are not checked.
    public static func exists(cache: CacheDirectory, key: IndexKey) -> Bool {
        (try? ManifestFile.load(directory: cache.indexPath(key)))?.key == key
    }
}

extension IndexScan {
    /// Opens the index with this ID; throws `StoreError` `.notFound`, `.damaged`, `.newerFormat`, `.badKey` or `.io`.
    public convenience init(cache: CacheDirectory, indexID: String) throws {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        try self.init(directory: cache.path(indexID: indexID))
    }
}

extension IndexWriter {
    /// Takes the lock, removes leftovers of dead processes and keeps the sealed segments before the first gap.
    ///
    /// With `keep` `.sample` only an evenly spaced sample of the frames' patches is kept. Ignores SIGXFSZ if it has no
    /// handler, so that exceeding the file size limit is an error instead of killing the process. Throws `StoreError`:
    /// `.locked`, `.newerFormat`, `.badKey`, `.noSpace`, `.io`.
    public convenience init(
        cache: CacheDirectory, key: IndexKey, layout: RecordLayout, keep: PatchKeeping = .all,
        framesPerSegment: Int = IndexWriter.framesPerSegment, firstSegment: Int = 0
    ) throws {
        try self.init(
            directory: cache.indexPath(key), in: [cache.indexesPath, cache.path], key: key, layout: layout, keep: keep,
            framesPerSegment: framesPerSegment, firstSegment: firstSegment)
    }
}
