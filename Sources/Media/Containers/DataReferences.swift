/// Tells whether an MP4 track's samples are in the file itself or in another file named by its data references.
///
/// libavformat 5.1 ignores "url " references, and follows an alias only if it holds a path. For all others it reads at
/// the samples' offsets in the current file, whatever is stored there. Source: ISO/IEC 14496-12, 8.7.2; QuickTime File
/// Format, "dref".
enum DataReferences {
    /// True if the track with this ID has samples in another file.
    static func areExternal(descriptor: Int32, size: Int64, track: Int32) -> Bool {
        var boxes = BoxReader(descriptor: descriptor)
        guard let movie = boxes.first("moov", in: 0..<size), let track = boxes.track(track, in: movie),
            let media = boxes.first("mdia", "minf", in: track), let list = boxes.first("dinf", "dref", in: media),
            let samples = boxes.first("stbl", "stsd", in: media)
        else { return false }
        let external = boxes.externalReferences(list)
        return boxes.references(samples).contains { external.contains($0) }
    }
}

extension BoxReader {
    /// The 1-based indices of the references that name another file.
    fileprivate mutating func externalReferences(_ list: Range<Int64>) -> Set<Int> {
        var found: Set<Int> = []
        var offset = list.lowerBound + 8
        for number in 1...1000 where offset + 12 <= list.upperBound {
            guard let entry = read(12, at: offset), entry.count == 12 else { break }
            let length = Self.integer(entry[0..<4])
            guard length >= 12, length <= list.upperBound - offset else { break }
            let isSelf = entry[11] & 1 == 1
            // An entry without the self-reference flag and without a name refers to the file itself: some muxers write
            // that.
            let isNamed = (read(1, at: offset + 12)?.first ?? 0) != 0 || !entry[4..<8].elementsEqual("url ".utf8)
            if !isSelf, length > 13, isNamed { found.insert(number) }
            offset += length
        }
        return found
    }

    /// The indices of the data references that a track's sample descriptions use.
    fileprivate mutating func references(_ samples: Range<Int64>) -> Set<Int> {
        var found: Set<Int> = []
        var offset = samples.lowerBound + 8
        for _ in 0..<1000 where offset + 16 <= samples.upperBound {
            guard let entry = read(16, at: offset), entry.count == 16 else { break }
            let length = Self.integer(entry[0..<4])
            guard length >= 16, length <= samples.upperBound - offset else { break }
            found.insert(Int(Self.integer(entry[14..<16])))
            offset += length
        }
        return found
    }
}
