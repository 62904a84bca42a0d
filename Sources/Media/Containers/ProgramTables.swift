/// Watches the program tables of an MPEG transport stream for a PID whose video changes codec.
///
/// libavformat keeps the first codec it saw for a PID and passes all later packets to that codec's parser. Source:
/// ISO/IEC 13818-1, 2.4.4 (tables), 2.4.4.9 (stream types), annex A (CRC).
struct ProgramTables {
    struct Change: Equatable {
        /// Position of the table that announces the change.
        let end: Int64
        /// Position of the last program association table before it, from which a demuxer can start.
        let start: Int64
    }

    private(set) var change: Change?
    /// Position of the first byte not yet scanned.
    private var next: Int64 = 0
    /// Bytes before `next` that belong to an incomplete packet.
    private var rest: [UInt8] = []
    /// Distance between packets in bytes; 0 while unknown.
    private var stride = 0
    /// Bytes before the next packet that belong to no packet.
    private var gap = 0
    private var isOff = false
    private var tables: Set<Int> = []
    private var types: [Int: UInt8] = [:]
    private var programs: Int64?

    /// MPEG-1, MPEG-2, MPEG-4 part 2, H.264, HEVC, VVC, AVS, Dirac and VC-1.
    private static let videoTypes: Set<UInt8> = [0x01, 0x02, 0x10, 0x1B, 0x24, 0x33, 0x42, 0xD1, 0xD2, 0xEA]
    /// After this many bytes without packets at the start, the file is not a transport stream.
    private static let searched: Int64 = 4 << 20

    /// Scans bytes that were read; ignores those already scanned or after a gap.
    mutating func scan(_ bytes: UnsafeBufferPointer<UInt8>, position: Int64) {
        guard change == nil, !isOff, position <= next, next - position < Int64(bytes.count) else { return }
        let before = next - Int64(rest.count)
        var data = rest
        data.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[Int(next - position)...]))
        next = position + Int64(bytes.count)
        var offset = 0
        while offset + gap + TransportPacket.length <= data.count {
            offset += gap
            gap = 0
            if stride == 0 {
                guard let found = synchronize(data, from: offset) else {
                    offset = max(offset, data.count - 8 * 204)
                    break
                }
                offset = found
            }
            guard data[offset] == TransportPacket.syncByte else {
                stride = 0
                offset += 1
                continue
            }
            let packet = TransportPacket(data[offset..<offset + TransportPacket.length])
            if packet.isUnitStart {
                let timestampLength = stride == 192 ? Int64(4) : 0
                read(packet, at: before + Int64(offset) - timestampLength)
                if change != nil { return }
            }
            offset += TransportPacket.length
            // The bytes after a packet may not have been read yet.
            gap = stride - TransportPacket.length
        }
        rest = Array(data[min(offset, data.count)...])
        isOff = stride == 0 && tables.isEmpty && next > Self.searched
    }

    private mutating func synchronize(_ data: [UInt8], from start: Int) -> Int? {
        for candidate in start..<data.count where data[candidate] == TransportPacket.syncByte {
            for distance in TransportPacket.strides where candidate + 4 * distance < data.count {
                guard TransportPacket.areAligned(data, at: candidate, stride: distance, count: 5) else { continue }
                stride = distance
                return candidate
            }
        }
        return nil
    }

    private mutating func read(_ packet: TransportPacket, at position: Int64) {
        let pid = packet.pid
        guard pid == 0 || tables.contains(pid), packet.hasPayload, let payload = packet.payload,
            let pointer = payload.first
        else { return }
        let start = payload.startIndex + 1 + Int(pointer)
        guard start + 12 <= payload.endIndex else { return }
        let length = Int(payload[start + 1] & 15) << 8 | Int(payload[start + 2])
        // Skip sections that span several packets, and those that are not yet current.
        guard length >= 13, start + 3 + length <= payload.endIndex, payload[start + 5] & 1 != 0 else { return }
        let section = Array(payload[start..<start + 3 + length])
        guard Self.crc(section) == 0 else { return }
        if pid == 0, section[0] == 0 {
            programs = position
            for entry in Swift.stride(from: 8, to: section.count - 7, by: 4)
            where section[entry] | section[entry + 1] != 0 {
                tables.insert(Int(section[entry + 2] & 31) << 8 | Int(section[entry + 3]))
            }
        } else if section[0] == 2 {
            readStreams(section, at: position)
        }
    }

    private mutating func readStreams(_ section: [UInt8], at position: Int64) {
        var entry = 12 + (Int(section[10] & 15) << 8 | Int(section[11]))
        while entry + 5 <= section.count - 4 {
            let type = section[entry]
            let pid = Int(section[entry + 1] & 31) << 8 | Int(section[entry + 2])
            if Self.videoTypes.contains(type) {
                if let old = types[pid], old != type {
                    change = Change(end: position, start: min(programs ?? position, position))
                    return
                }
                types[pid] = type
            }
            entry += 5 + (Int(section[entry + 3] & 15) << 8 | Int(section[entry + 4]))
        }
    }

    /// The CRC of a section including its checksum; 0 if it is intact.
    private static func crc(_ bytes: [UInt8]) -> UInt32 {
        var crc = UInt32.max
        for byte in bytes {
            crc ^= UInt32(byte) << 24
            for _ in 0..<8 { crc = crc & 0x8000_0000 != 0 ? crc << 1 ^ 0x04C1_1DB7 : crc << 1 }
        }
        return crc
    }
}
