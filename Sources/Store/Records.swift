/// One named array in a frame's record.
///
/// `bytes` is its size, `format` says how to read it, for example `f16[24,24,1024]`.
public struct RecordPart: Sendable, Codable, Equatable {
    public let name: String
    public let bytes: Int
    public let format: String

    public init(name: String, bytes: Int, format: String) {
        self.name = name
        self.bytes = bytes
        self.format = format
    }
}

/// What one frame's record holds.
///
/// `recordBytes` is what a record takes in a segment: head, parts, and the padding to a multiple of 64 bytes.
public struct RecordLayout: Sendable, Codable, Equatable {
    public let parts: [RecordPart]
    public let recordBytes: Int

    /// Throws `StoreError` `.badKey` when a size is negative or the sum is beyond an `Int`.
    public init(parts: [RecordPart]) throws {
        guard let bytes = RecordLayout.recordBytes(parts) else { throw StoreError.layoutTooLarge() }
        self.parts = parts
        self.recordBytes = bytes
    }

    /// False for a layout from a file whose numbers do not agree.
    var isConsistent: Bool { RecordLayout.recordBytes(parts) == recordBytes }

    var headBytes: Int { SegmentFormat.fixedHeadBytes + 8 * parts.count }

    /// The offset of `part` from the start of its record; the sums were checked when the layout was made.
    func offset(ofPart part: Int) -> Int { parts[..<part].reduce(headBytes) { $0 + $1.bytes } }

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
