internal import Media

extension Searcher {
    /// Writes each moment's best frame as PNG, and a contact sheet of all of them in the same order.
    ///
    /// - Throws: `Failure` if the folder cannot be written to; a missing or changed recording is a note.
    package func addThumbnails(to result: inout SearchResult, folder: String) throws {
        guard !result.moments.isEmpty else { return }
        var pictures: [Int: (image: RGBImage, seconds: Double)] = [:]
        var written = RecordingImages.Written()
        for index in result.moments.map(\.recording.index).uniqued {
            let places = result.moments.indices.filter { result.moments[$0].recording.index == index }
            let source = try RecordingImages(library: library, index: index, cancellation: cancellation)
            let notes = written.notes.count
            let found = try source.pictures(places.map { result.moments[$0].frame }, into: &written)
            for place in places { pictures[place] = found[result.moments[place].frame] }
            if written.notes.count == notes, places.contains(where: { pictures[$0] == nil }) {
                written.notes.append(
                    "thumbnails: some frames of \(result.moments[places[0]].recording.path) cannot be read")
            }
        }
        result.notes += written.notes
        guard !pictures.isEmpty else { return }
        try RecordingImages.makeFolder(folder)
        var sheet: [(image: RGBImage, seconds: Double)] = []
        for place in result.moments.indices {
            guard let picture = pictures[place] else { continue }
            let clock = TimeText.clock(picture.seconds).split(separator: ":").joined(separator: "-")
            let file = "\(folder)/\(place + 1)-\(clock).png"
            try RecordingImages.write(
                ContactSheet.scaled(picture.image, width: RecordingImages.thumbnailWidth), to: file)
            result.moments[place].thumbnail = file
            sheet.append((ContactSheet.scaled(picture.image, width: RecordingImages.sheetWidth), picture.seconds))
        }
        if let image = ContactSheet(sheet).image() {
            let file = "\(folder)/contact-sheet.png"
            try RecordingImages.write(image, to: file)
            result.contactSheet = file
        }
    }
}

extension [String] {
    /// The elements without duplicates, in the order of their first occurrence.
    fileprivate var uniqued: [String] {
        var seen: Set<String> = []
        return filter { seen.insert($0).inserted }
    }
}
