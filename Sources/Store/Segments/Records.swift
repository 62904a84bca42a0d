/// The two files a record's parts lie in: patches can go and the rest stays.
public enum RecordStream: String, Sendable, Codable, CaseIterable {
    /// `NNNNNN.seg`
    case frame
    /// `NNNNNN.pat`
    case patch
}

/// One named array in a frame's record.
///
/// `bytes` is its size, `format` says how to read it, for example `f16[24,24,1024]`, `stream` which file it is in.
public struct RecordPart: Sendable, Codable, Equatable {
    public let name: String
    public let bytes: Int
    public let format: String
    public let stream: RecordStream

    public init(name: String, bytes: Int, format: String, stream: RecordStream = .frame) {
        self.name = name
        self.bytes = bytes
        self.format = format
        self.stream = stream
    }
}

/// What one frame's record holds.
///
/// `frameBytes` is what a record takes in a segment's frame file: head, parts, and the padding to a multiple of 64
/// bytes; `patchBytes` the same in its patch file, 0 when no part is there.
public struct RecordLayout: Sendable, Codable, Equatable {
    public let parts: [RecordPart]
    public let frameBytes: Int
    public let patchBytes: Int

    /// Throws `StoreError` `.badKey` when a size is negative or the sum is beyond an `Int`.
    public init(parts: [RecordPart]) throws {
        guard let (frame, patch) = RecordLayout.sizes(parts) else { throw StoreError.layoutTooLarge() }
        self.parts = parts
        frameBytes = frame
        patchBytes = patch
    }

    /// What a frame takes whose patches are kept.
    public var recordBytes: Int { frameBytes + patchBytes }

    public var hasPatches: Bool { patchBytes > 0 }

    /// False for a layout from a file whose numbers do not agree.
    var isConsistent: Bool {
        guard let (frame, patch) = RecordLayout.sizes(parts) else { return false }
        return frame == frameBytes && patch == patchBytes
    }

    /// The places in `parts` of what is in one file, in their order.
    func parts(of stream: RecordStream) -> [Int] { parts.indices.filter { parts[$0].stream == stream } }

    func recordBytes(of stream: RecordStream) -> Int { stream == .frame ? frameBytes : patchBytes }

    func headBytes(of stream: RecordStream) -> Int { SegmentFormat.fixedHeadBytes + 8 * parts(of: stream).count }

    /// The offset of a part from the start of its record; the sums were checked when the layout was made.
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
    /// Every frame's.
    case all
    /// Those of an evenly spaced sample of the recording: 65 to 128 frames, all of a shorter one.
    case sample
    /// The records have none.
    case none
}

/// The sample of frames whose patches always stay: the multiples of a stride that doubles whenever 128 are held.
///
/// What is held after a frame follows from its index alone, so a run that was interrupted ends with the same sample.
package enum PatchSample {
    package static let most = 128

    /// The stride after `frames` frames: the smallest power of two of which at most 128 multiples are below `frames`.
    package static func stride(frames: Int) -> Int {
        var step = 1
        while (frames - 1) / step >= most { step *= 2 }
        return step
    }

    /// The sample of a recording of `frames` frames.
    package static func indices(frames: Int) -> [Int] {
        Array(Swift.stride(from: 0, to: frames, by: stride(frames: frames)))
    }

    /// Whether frame `index` is held when it comes.
    static func holds(_ index: Int) -> Bool { index % stride(frames: index + 1) == 0 }
}

/// When a frame is shown.
///
/// `gridTime` is the sampling instant in seconds, `pts` the frame's own time in the stream's time base, `ptsSeconds`
/// the same in seconds.
public struct FrameEntry: Sendable, Equatable {
    public var index: UInt32
    public var gridTime: Double
    public var pts: Int64
    public var ptsSeconds: Double

    public init(index: UInt32, gridTime: Double, pts: Int64, ptsSeconds: Double) {
        self.index = index
        self.gridTime = gridTime
        self.pts = pts
        self.ptsSeconds = ptsSeconds
    }
}
