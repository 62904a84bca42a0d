internal import Foundation
internal import Media
internal import Store

/// The segments of a recording that one machine indexed, of an index that several machines make.
struct IndexPart {
    /// The sealed files.
    let files: SegmentFiles
    /// What the manifest says if the recording ends in this part.
    let manifest: Manifest
    /// True if the recording goes on after this part.
    let isFull: Bool
    /// The catalog's row of the recording.
    let row: Catalog.RecordingRow
}

extension Indexer {
    /// Indexes the frames `first..<end` of a recording: the same bytes as in an index of all frames.
    ///
    /// Decoding begins at the recording's start, since what a decoder puts out after a seek need not be the same; frames
    /// before `first` are neither converted nor encoded.
    /// - Parameters:
    ///   - first: a multiple of a segment's length.
    ///   - end: another one; nil: to the end of the recording.
    /// - Throws: as `index`.
    func part(
        of recording: Recording, first: Int, end: Int?, progress: (IndexProgress) -> Void
    ) throws -> IndexPart {
        let start = ContinuousClock.now
        let content = try times.waiting {
            try options.checkAge(recording.open(cancellation))
            return try recording.hashed(library.catalog, force: false, cancellation)
        }
        let file = content.file
        let key = key(content: content.hash)
        let writer = try IndexWriter(
            cache: library.cache, key: key, layout: layout, keep: keeping,
            firstSegment: first / IndexWriter.framesPerSegment)
        writer.beforeSeal = { try content.check() }
        do {
            var decoded = try encode(file, into: writer, end: end, start: start, progress: progress)
            if decoded.endedByWorker, !cancellation.isCancelled, end.map({ writer.nextFrame < $0 }) != false {
                // As in an index of all frames: once more from there.
                do {
                    decoded = try encode(file, into: writer, end: end, start: start, progress: progress)
                } catch is MediaError {
                    // No further frame was decoded.
                }
            }
            // Storage that is away for a while must not end the recording for all machines.
            if let note = decoded.notes.first(where: { ["read_error", "decoder_stuck"].contains($0.code) }) {
                throw Failure(
                    code: note.code, message: "\(file.displayPath): \(note.message)", exitCode: Exit.retry)
            }
            try content.check()
            let files = try writer.suspendWithFiles()
            var manifest = manifest(file, key, decoded, writer.sealedContents)
            manifest.origin = OriginFinder(options.clock).origin(
                of: recording.path.absolute, dates: decoded.info.dates ?? [:], previous: nil)
            var row = Catalog.RecordingRow(
                path: file.displayPath, pathBase64: file.pathBase64, size: file.size, modified: file.modified,
                inode: file.inode, content: content.hash, indexID: key.id, added: Date().formatted(.iso8601),
                state: manifest.indexState.rawValue)
            row.fingerprint = content.fingerprint
            row.checked = content.checked
            return IndexPart(
                files: files, manifest: manifest, isFull: end.map { files.first + files.frames >= $0 } ?? false,
                row: row)
        } catch let error as LongtakeError where error.code == .interrupted {
            _ = try writer.suspend()
            throw error
        } catch let failure as Failure where failure.exitCode == Exit.retry {
            _ = try writer.suspend()
            throw failure
        } catch {
            writer.discard()
            throw error
        }
    }
}
