/// One packet of an MPEG transport stream, as a view of the bytes that hold it.
///
/// Source: ISO/IEC 13818-1, 2.4.3.2 (header), 2.4.3.4 (adaptation field).
struct TransportPacket {
    static let length = 188
    static let syncByte: UInt8 = 0x47
    /// Distances between packets: plain, with a 4-byte timestamp before each (M2TS), with a 16-byte checksum after
    /// each.
    static let strides = [188, 192, 204]

    private let bytes: ArraySlice<UInt8>
    private let start: Int

    /// `bytes` must begin with a packet and hold all of it.
    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        start = bytes.startIndex
    }

    var pid: Int { Int(bytes[start + 1] & 31) << 8 | Int(bytes[start + 2]) }
    /// True if a table or a frame starts in the packet (payload_unit_start_indicator).
    var isUnitStart: Bool { bytes[start + 1] & 0x40 != 0 }
    var hasPayload: Bool { bytes[start + 3] & 16 != 0 }
    /// Counts the packets of a PID that have a payload, modulo 16.
    var continuityCounter: UInt8 { bytes[start + 3] & 15 }
    private var hasAdaptationField: Bool { bytes[start + 3] & 32 != 0 }

    /// The program clock reference in units of 1/90000 s; nil if the packet has none.
    var clockReference: Int64? {
        guard hasAdaptationField, bytes[start + 4] >= 7, bytes[start + 5] & 16 != 0 else { return nil }
        return bytes[(start + 6)..<(start + 11)].reduce(Int64(0)) { $0 << 8 | Int64($1) } >> 7
    }

    /// The bytes after the header and the adaptation field; nil if the field's length is beyond the packet.
    var payload: ArraySlice<UInt8>? {
        let offset = start + 4 + (hasAdaptationField ? 1 + Int(bytes[start + 4]) : 0)
        let end = start + Self.length
        return offset < end ? bytes[offset..<end] : nil
    }

    /// True if packets `stride` bytes apart begin at `offset`: checks up to `count` of those that lie within `bytes`.
    static func areAligned(_ bytes: [UInt8], at offset: Int, stride: Int, count: Int) -> Bool {
        Swift.stride(from: offset, to: min(bytes.count, offset + count * stride), by: stride).allSatisfy {
            bytes[$0] == syncByte
        }
    }
}
