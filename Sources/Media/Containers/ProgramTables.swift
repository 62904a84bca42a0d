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
    private static let packetBytes = 188

    /// Scans bytes that were read; ignores those already scanned or after a gap.
    mutating func look(at bytes: UnsafeBufferPointer<UInt8>, position: Int64) {
        guard change == nil, !isOff, position <= next, next - position < Int64(bytes.count) else { return }
        let before = next - Int64(rest.count)
        var data = rest
        data.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[Int(next - position)...]))
        next = position + Int64(bytes.count)
        var offset = 0
        while offset + gap + Self.packetBytes <= data.count {
            offset += gap
            gap = 0
            if stride == 0 {
                guard let found = synchronize(data, from: offset) else {
                    offset = max(offset, data.count - 8 * 204)
                    break
                }
                offset = found
            }
            guard data[offset] == 0x47 else {
                stride = 0
                offset += 1
                continue
            }
            // Only packets in which a table or a frame starts (payload_unit_start_indicator).
            if data[offset + 1] & 0x40 != 0 {
                let header = stride == 192 ? Int64(4) : 0
                read(data[offset..<offset + Self.packetBytes], at: before + Int64(offset) - header)
                if change != nil { return }
            }
            offset += Self.packetBytes
            // The bytes after a packet may not have been read yet.
            gap = stride - Self.packetBytes
        }
        rest = Array(data[min(offset, data.count)...])
        isOff = stride == 0 && tables.isEmpty && next > Self.searched
    }

    private mutating func synchronize(_ data: [UInt8], from start: Int) -> Int? {
        for candidate in start..<data.count where data[candidate] == 0x47 {
            for step in [188, 192, 204] where candidate + 4 * step < data.count {
                guard (1...4).allSatisfy({ data[candidate + $0 * step] == 0x47 }) else { continue }
                stride = step
                return candidate
            }
        }
        return nil
    }

    private mutating func read(_ packet: ArraySlice<UInt8>, at position: Int64) {
        let first = packet.startIndex
        let pid = Int(packet[first + 1] & 31) << 8 | Int(packet[first + 2])
        guard pid == 0 || tables.contains(pid), packet[first + 3] & 16 != 0 else { return }
        var at = first + 4
        if packet[first + 3] & 32 != 0 { at += 1 + Int(packet[at]) }
        guard at < packet.endIndex else { return }
        at += 1 + Int(packet[at])
        guard at + 12 <= packet.endIndex else { return }
        let length = Int(packet[at + 1] & 15) << 8 | Int(packet[at + 2])
        // Skip sections that span several packets, and those that are not yet current.
        guard length >= 13, at + 3 + length <= packet.endIndex, packet[at + 5] & 1 != 0 else { return }
        let section = Array(packet[at..<at + 3 + length])
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
