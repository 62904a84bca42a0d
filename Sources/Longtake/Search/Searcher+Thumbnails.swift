extension Searcher {
    /// Writes each moment's best frame as PNG, and a contact sheet of all of them in the same order.
    ///
    /// - Throws: `Failure` if the folder cannot be written to; a missing or changed recording is a note.
    package func addThumbnails(to result: inout SearchResult, folder: String) throws {
        guard !result.moments.isEmpty else { return }
        var images: [Int: TimedImage] = [:]
        var written = RecordingImages.Written()
        for recording in result.moments.map(\.recording.index).uniqued {
            let moments = result.moments.indices.filter { result.moments[$0].recording.index == recording }
            let source = try RecordingImages(library: library, index: recording, cancellation: cancellation)
            let noteCount = written.notes.count
            let found = try source.images(of: moments.map { result.moments[$0].frame }, into: &written)
            for moment in moments { images[moment] = found[result.moments[moment].frame] }
            if written.notes.count == noteCount, moments.contains(where: { images[$0] == nil }) {
                written.notes.append(
                    "thumbnails: some frames of \(result.moments[moments[0]].recording.path) cannot be read")
            }
        }
        result.notes += written.notes
        guard !images.isEmpty else { return }
        var output = try ThumbnailFolder(folder)
        for index in result.moments.indices {
            guard let image = images[index] else { continue }
            result.moments[index].thumbnail = try output.write(image, number: index + 1)
        }
        result.contactSheet = try output.writeContactSheet() ?? result.contactSheet
    }
}

extension [String] {
    /// The elements without duplicates, in the order of their first occurrence.
    fileprivate var uniqued: [String] {
        var seen: Set<String> = []
        return filter { seen.insert($0).inserted }
    }
}
