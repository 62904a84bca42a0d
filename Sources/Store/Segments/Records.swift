/// The two files that hold a record's parts, so that patches can be removed separately.
public enum RecordStream: String, Sendable, Codable, CaseIterable {
    /// `NNNNNN.seg`
    case frame
    /// `NNNNNN.pat`
    case patch
}

/// One named array in a frame's record.
///
/// `bytes` is its size, `format` its element type and shape, for example `f16[24,24,1024]`, `stream` the file it is in.
public struct RecordPart: Sendable, Codable, Equatable {
    /// Name of the part.
    public let name: String
    /// Size in bytes.
    public let bytes: Int
    /// Element type and shape.
    public let format: String
    /// The file the part is in.
    public let stream: RecordStream

    /// Creates a part with these values.
    public init(name: String, bytes: Int, format: String, stream: RecordStream = .frame) {
        self.name = name
        self.bytes = bytes
        self.format = format
        self.stream = stream
    }
}

/// The parts of a frame's record.
///
/// `frameBytes` is the size of a record in a segment's frame file: head, parts and padding to a multiple of 64 bytes;
/// `patchBytes` is the same in its patch file, 0 if it has no parts there.
public struct RecordLayout: Sendable, Codable, Equatable {
    /// The parts, in order.
    public let parts: [RecordPart]
    /// Bytes per record in the frame file.
    public let frameBytes: Int
    /// Bytes per record in the patch file.
    public let patchBytes: Int

    /// Creates a layout; throws `StoreError` `.badKey` if a size is negative or the sum overflows an `Int`.
    public init(parts: [RecordPart]) throws {
        guard let (frame, patch) = RecordLayout.sizes(parts) else { throw StoreError.layoutTooLarge() }
        self.parts = parts
        frameBytes = frame
        patchBytes = patch
    }

    /// Total size in bytes of the record of a frame whose patches are kept.
    public var recordBytes: Int { frameBytes + patchBytes }

    /// True if records have parts in the patch file.
    public var hasPatches: Bool { patchBytes > 0 }

    /// False for a layout read from a file with sizes that do not add up.
    var isConsistent: Bool {
        guard let (frame, patch) = RecordLayout.sizes(parts) else { return false }
        return frame == frameBytes && patch == patchBytes
    }

    /// Returns the indices in `parts` of the parts in one file, in order.
    func parts(of stream: RecordStream) -> [Int] { parts.indices.filter { parts[$0].stream == stream } }

    func recordBytes(of stream: RecordStream) -> Int { stream == .frame ? frameBytes : patchBytes }

    func headBytes(of stream: RecordStream) -> Int { SegmentFormat.fixedHeadBytes + 8 * parts(of: stream).count }

    /// Returns the offset of a part from the start of its record; the sums were checked when the layout was created.
    package func offset(ofPart part: Int) -> Int {
        let stream = parts[part].stream
        return parts[..<part].reduce(headBytes(of: stream)) { $0 + ($1.stream == stream ? $1.bytes : 0) }
    }

    private static func sizes(_ parts: [RecordPart]) -> (frame: Int, patch: Int)? {
        guard let frame = recordBytes(parts.filter { $0.stream == .frame }),
            let patch = recordBytes(parts.filter { $0.stream == .patch })
        else { return nil }
        let patchBytes = parts.contains { $0.stream == .patch } ? patch : 0
        return frame.addingReportingOverflow(patchBytes).overflow ? nil : (frame, patchBytes)
    }

    private static func recordBytes(_ parts: [RecordPart]) -> Int? {
        var total = SegmentFormat.fixedHeadBytes + 8 * parts.count
        for part in parts {
            let (sum, overflow) = total.addingReportingOverflow(part.bytes)
            guard part.bytes >= 0, !overflow else { return nil }
            total = sum
        }
        let (padded, overflow) = total.addingReportingOverflow(63)
        return overflow ? nil : padded & ~63
    }
}

/// Which frames' patches an index keeps.
public enum PatchKeeping: String, Sendable, Codable, CaseIterable {
    /// All frames.
    case all
    /// An evenly spaced sample of the recording: 65 to 128 frames, or all frames of a shorter one.
    case sample
    /// The records have no patches.
    case none
}

/// The sample of frames whose patches are always kept: the multiples of a stride that doubles to hold at most 128.
///
/// Whether a frame is held depends on its index alone, so an interrupted run ends with the same sample.
package enum PatchSample {
    /// Largest number of frames in the sample.
    package static let maxFrames = 128

    /// Returns the stride after `frames` frames: the smallest power of two with at most 128 multiples below `frames`.
    package static func stride(frames: Int) -> Int {
        var step = 1
        while (frames - 1) / step >= maxFrames { step *= 2 }
        return step
    }

    /// Returns the frame indices of the sample for a recording of `frames` frames.
    package static func indices(frames: Int) -> [Int] {
        Array(Swift.stride(from: 0, to: frames, by: stride(frames: frames)))
    }

    /// Returns true if frame `index` is in the sample at the time it is appended.
    static func holds(_ index: Int) -> Bool { index % stride(frames: index + 1) == 0 }
}

/// The index and times of a frame.
///
/// `gridTime` is the sampling time in seconds, `pts` the frame's own time in the stream's time base, `ptsSeconds` the
/// same in seconds.
public struct FrameEntry: Sendable, Equatable {
    /// Index of the frame, from 0.
    public var index: UInt32
    /// Sampling time in seconds.
    public var gridTime: Double
    /// Presentation time in the stream's time base.
    public var pts: Int64
    /// Presentation time in seconds.
    public var ptsSeconds: Double

    /// Creates an entry with these values.
    public init(index: UInt32, gridTime: Double, pts: Int64, ptsSeconds: Double) {
        self.index = index
        self.gridTime = gridTime
        self.pts = pts
        self.ptsSeconds = ptsSeconds
    }
}
