// The indexes of a cache: each is opened and written in the folder that its key or id names.

extension IndexReader {
    /// Opens the index for `key`; throws `StoreError` `.notFound`, `.damaged`, `.newerFormat` or `.io`.
    public convenience init(cache: CacheDirectory, key: IndexKey) throws {
        let directory = cache.indexPath(key)
        let known = SegmentFormat.version
        if key.formatVersion > known { throw StoreError.newer(directory, found: key.formatVersion, known: known) }
        try self.init(directory: directory)
        guard manifest.key == key else {
            throw StoreError.damagedManifest(directory + "/" + ManifestFile.name, "another key")
        }
    }

    /// True when there is a readable manifest of this key; the segments are not looked at.
    public static func exists(cache: CacheDirectory, key: IndexKey) -> Bool {
        (try? ManifestFile.load(directory: cache.indexPath(key)))?.key == key
    }
}

extension IndexScan {
    /// Opens the index with this id; throws `StoreError` `.notFound`, `.damaged`, `.newerFormat`, `.badKey` or `.io`.
    public convenience init(cache: CacheDirectory, indexID: String) throws {
        guard IndexKey.isID(indexID) else { throw StoreError.badIndexID(indexID) }
        try self.init(directory: cache.path(indexID: indexID))
    }
}

extension IndexWriter {
    /// Takes the lock, clears what dead runs left, and keeps every sealed segment before the first gap.
    ///
    /// With `keep` `.sample` only an evenly spaced sample of the frames' patches stays. SIGXFSZ is ignored from here on if
    /// nobody handles it, so that a file size limit is an error and not the end of the process. Throws `StoreError`:
    /// `.locked`, `.newerFormat`, `.badKey`, `.noSpace`, `.io`.
    public convenience init(
        cache: CacheDirectory, key: IndexKey, layout: RecordLayout, keep: PatchKeeping = .all,
        framesPerSegment: Int = IndexWriter.framesPerSegment
    ) throws {
        try self.init(
            directory: cache.indexPath(key), in: [cache.indexesPath, cache.path], key: key, layout: layout, keep: keep,
            framesPerSegment: framesPerSegment)
    }
}
