import Glibc

/// The segments of an index that one writer has sealed, while other writers seal the others.
public struct SegmentFiles: Sendable, Equatable {
    /// The folder with the files.
    public let folder: String
    /// Names of the frame and patch files in it, sorted.
    public let names: [String]
    /// Index of the first frame.
    public let first: Int
    /// Number of frames.
    public let frames: Int
    /// Size of the files in bytes.
    public let bytes: Int64
}

extension IndexWriter {
    /// Seals the open segment, releases the lock and returns the files of this writer's segments.
    ///
    /// - Throws: as `suspend`.
    public func suspendWithFiles() throws -> SegmentFiles {
        _ = try suspend()
        let files = segments + patchFiles.compactMap(\.self)
        let first = firstSegment * framesPerSegment
        return SegmentFiles(
            folder: directory, names: files.map(\.file).sorted(), first: first, frames: framesDone - first,
            bytes: files.reduce(0) { $0 + Int64($1.bytes) })
    }

    /// What the manifest would say of the segments sealed so far; without the sample of patches, which `finish` makes.
    public var sealedContents: IndexContents {
        IndexContents(
            frames: framesDone, segments: segments,
            patches: PatchFiles(kept: keeping, files: keeping == .all ? patchFiles.compactMap(\.self) : []))
    }
}

extension CacheDirectory {
    /// Makes an index of segments that several writers have sealed, and returns its manifest.
    ///
    /// The files are moved, so they must be on the cache's file system. An index that is complete already is left as it
    /// is. After an error the next call continues with the files that were moved.
    /// - Parameters:
    ///   - manifest: everything but the contents, which follow from the files.
    ///   - frames: number of frames that the segments have together.
    ///   - folders: where the segments are.
    /// - Throws: `StoreError`: `.damaged` if the files are not all segments of this index, `.locked`, `.noSpace`, `.io`.
    public func assemble(_ manifest: Manifest, frames: Int, from folders: [String]) throws -> Manifest {
        let directory = indexPath(manifest.key)
        if let known = try? ManifestFile.load(directory: directory), known.key == manifest.key,
            known.state == manifest.state, known.frames == frames
        {
            return known
        }
        try Posix.makeDirectory(directory)
        try Posix.syncDirectory(indexesPath)
        do {
            let lock = try IndexLock(directory: directory)
            defer { lock.release() }
            // Patches first: a segment counts as sealed once its frame file exists.
            for suffix in [".pat", ".seg"] {
                for folder in folders {
                    for name in try Posix.names(in: folder) where name.hasSuffix(suffix) {
                        try Posix.rename(folder + "/" + name, to: directory + "/" + name, "move")
                    }
                }
            }
            try Posix.syncDirectory(directory)
        }
        let writer = try IndexWriter(
            cache: self, key: manifest.key, layout: manifest.layout, keep: manifest.patches.kept)
        guard writer.framesDone == frames else {
            writer.discard()
            throw StoreError.incomplete(directory, frames: writer.framesDone, expected: frames)
        }
        var made = manifest
        try writer.finish { contents in
            (made.frames, made.segments, made.patches) = (contents.frames, contents.segments, contents.patches)
            return made
        }
        return made
    }
}
