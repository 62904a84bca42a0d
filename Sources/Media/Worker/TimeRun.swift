/// Consecutive packets of one stream whose timestamps follow each other without a jump.
struct TimeRun: Equatable {
    enum Kind: Equatable {
        /// On the timeline that the recording keeps.
        case timeline
        /// The times leave the timeline and return to it; the frames are put in file order.
        case stray
        /// A new timeline; the jump to it, which is not a pause, in units of the time base.
        case discontinuity(Int64)
    }

    /// Another stream's timing relative to the video: the video's time minus its own, in units of the video's time
    /// base.
    struct Lead: Equatable {
        var atStart: Int64?
        var atEnd: Int64?
    }

    /// File position of the first packet; -1 if unknown.
    var position: Int64 = -1
    /// File position of the run's last packet; -1 if unknown.
    var lastPosition: Int64 = -1
    var startsWithKey = false
    /// The lowest time of the first few packets.
    var start: Int64
    var lowest: Int64
    var highest: Int64
    var count = 1
    var leads: [Lead] = []
    var kind = Kind.timeline
    /// Offset from a timestamp of the stream to the timeline.
    var offset: Int64 = 0

    init(_ time: Int64) {
        start = time
        lowest = time
        highest = time
    }
}
