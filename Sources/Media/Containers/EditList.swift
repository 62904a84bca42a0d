import Glibc

/// The parts of an MP4 track's edit list that libavformat 5.1 does not apply.
///
/// libavformat cuts and repeats by the edits. During an empty edit between two others it shows frames from the start of
/// the media (mov_fix_index treats the media time -1 as a position), and it ignores rates. Source: ISO/IEC 14496-12,
/// 8.6.6.
struct EditList: Equatable {
    struct Edit: Equatable {
        /// In units of the movie's time scale.
        let duration: Int64
        /// In units of the track's time scale; -1 means an empty edit: nothing is shown.
        let mediaTime: Int64
        /// 16.16 fixed point; 0x10000 is rate 1.
        let rate: Int32
    }

    /// Intervals on the track's timeline, in seconds, in which nothing is shown after something was.
    private(set) var empty: [ClosedRange<Double>] = []
    /// Edits at a rate other than 1: the time at which each starts, in seconds, and the rate.
    private(set) var rates: [(from: Double, rate: Double)] = []

    static func == (a: EditList, b: EditList) -> Bool {
        a.empty == b.empty && a.rates.elementsEqual(b.rates) { $0 == $1 }
    }

    init(_ edits: [Edit], movieScale: UInt32) {
        var (time, shown) = (0.0, false)
        for edit in edits where movieScale > 0 {
            let length = Double(max(0, edit.duration)) / Double(movieScale)
            if edit.mediaTime < 0 {
                if shown, length > 0 { empty.append(time...time + length) }
            } else {
                shown = true
                if edit.rate != 0x10000 { rates.append((time, Double(edit.rate) / 65_536)) }
            }
            time += length
        }
        // A trailing empty edit separates nothing.
        if let last = edits.last, last.mediaTime < 0, !empty.isEmpty { empty.removeLast() }
    }

    /// Reads the edit list of the track with this ID; nil if the file has no complete one.
    ///
    /// Reads a few box headers, and at most 64 KiB of one box.
    init?(descriptor: Int32, size: Int64, track: Int32) {
        var boxes = BoxReader(descriptor: descriptor)
        guard let movie = boxes.first("moov", in: 0..<size), let header = boxes.first("mvhd", in: movie),
            let scale = boxes.timeScale(header), let track = boxes.track(track, in: movie),
            let list = boxes.first("edts", "elst", in: track)
        else { return nil }
        self.init(boxes.edits(list), movieScale: scale)
    }
}

extension EditList {
    /// True if the file shows nothing at this time of the track.
    func isEmpty(at seconds: Double) -> Bool {
        // A frame starts an interval to within one unit of the time base.
        empty.contains { seconds >= $0.lowerBound - 0.0005 && seconds < $0.upperBound - 0.0005 }
    }

    func describe(in result: inout DecodeResult) {
        func text(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
        if let first = empty.first {
            let more = empty.count > 1 ? " and in \(counted(empty.count - 1, "more interval"))" : ""
            result.note(
                "empty_edit",
                "the edit list shows nothing from \(text(first.lowerBound)) to \(text(first.upperBound)) s of the "
                    + "track\(more); the frame before is used there")
        }
        if let first = rates.first {
            result.note(
                "edit_rate",
                "from \(text(first.from)) s of the track the edit list sets a rate of \(text(first.rate)), which is "
                    + "not applied: later times may be wrong")
        }
    }
}

extension BoxReader {
    fileprivate mutating func edits(_ list: Range<Int64>) -> [EditList.Edit] {
        let most = 64 << 10
        guard let bytes = read(Int(min(list.upperBound - list.lowerBound, Int64(most))), at: list.lowerBound),
            bytes.count >= 8
        else { return [] }
        let wide = bytes[0] == 1
        let each = wide ? 20 : 12
        let count = min(Int(clamping: Self.integer(bytes[4..<8])), (bytes.count - 8) / each)
        return (0..<count).map { index in
            let at = 8 + index * each
            func signed32(_ from: Int) -> Int64 {
                Int64(Int32(bitPattern: UInt32(clamping: Self.integer(bytes[from..<from + 4]))))
            }
            let raw = wide ? bytes[at + 8..<at + 16].reduce(UInt64(0)) { $0 << 8 | UInt64($1) } : 0
            return EditList.Edit(
                duration: Self.integer(bytes[at..<at + (wide ? 8 : 4)]),
                mediaTime: wide ? Int64(bitPattern: raw) : signed32(at + 4),
                rate: Int32(clamping: signed32(at + each - 4)))
        }
    }
}
