import Foundation

/// The layout of a segment's two files, format versions 2 and 3.
///
/// `NNNNNN.seg` is the frame stream, `NNNNNN.pat` holds the patches. All values are little endian, all checksums
/// are XXH3-64 with seed 0.
///
///     header, 4096 bytes
///       0     8  magic "LTSEG" 00 00 01, "LTPAT" 00 00 01 for patches
///       8     4  u32 format version
///       12    4  u32 byte order mark 0x01020304
///       16    4  u32 header length, 4096
///       20    4  u32 maximum number of records in this file
///       24    4  u32 segment number N, as in the file name; 2^32 - 1 for sample.pat
///       28    4  u32 length of the JSON
///       32    n  JSON {"key": IndexKey, "layout": RecordLayout}, keys sorted, then zeros
///       4088  8  u64 checksum of bytes 0..<4088
///     then `count` records of layout.frameBytes or layout.patchBytes each, P = number of parts in this file
///       0     4  u32 frame index, ascending; in a frame stream by 1 across records and segments
///       4     4  u32 flags, zero
///       8     8  f64 grid time, seconds
///       16    8  i64 pts, in the stream's time base
///       24    8  f64 pts, seconds
///       32   8P  u64 checksum of each part
///       32+8P 8  u64 checksum of the record's bytes 0..<32+8P, the end of the record head
///       40+8P    the parts without gaps, then zeros to a multiple of 64 bytes
///     in version 3 then `references` heads of 40 bytes: frames that have the record of an earlier frame of the file
///       0     4  u32 frame index, ascending; in a frame stream records and references together ascend by 1
///       4     4  u32 distance to the frame whose record it is, 1 or more
///       8    24  times as in a record
///       32    8  u64 checksum of bytes 0..<32
///     footer, 24 bytes, at the end of the file
///       0     4  u32 count, 1 or more
///       4     4  u32 references, zero in version 2
///       8     8  u64 checksum of the header's checksum followed by all record heads and references in order
///       16    8  magic "LTSEGEND"
///
/// A file without a footer was never sealed and is treated as missing. Every version keeps the first 20 bytes and the
/// checksum at 4088 in place, so that a program can tell a newer file from a damaged one.
enum SegmentFormat {
    static let versions = IndexKey.knownFormatVersions
    static let magic: [UInt8] = Array("LTSEG".utf8) + [0, 0, 1]
    static let patchMagic: [UInt8] = Array("LTPAT".utf8) + [0, 0, 1]
    static let commit: [UInt8] = Array("LTSEGEND".utf8)
    static let byteOrder: UInt32 = 0x0102_0304
    static let headerBytes = 4096
    static let jsonOffset = 32
    static let fixedHeadBytes = 40
    static let footerBytes = 24
    static let referenceBytes = 40
    static let maxFrames = 1 << 20

    /// What a segment belongs to: the JSON in its header.
    struct Identity: Codable, Equatable {
        var key: IndexKey
        var layout: RecordLayout
    }

    /// An identity and its JSON, which all segment headers of an index share, so that it is decoded only once.
    struct KnownIdentity {
        let identity: Identity
        let text: [UInt8]

        init(_ identity: Identity) throws {
            self.identity = identity
            text = try canonicalJSON(identity)
        }
    }

    struct Header: Equatable {
        var identity: Identity
        var stream: RecordStream
        var framesPerSegment: Int
        var number: Int
    }

    /// The number in the header of `sample.pat`, which belongs to no segment.
    static let sampleNumber = Int(UInt32.max)

    static func fileName(_ number: Int, _ stream: RecordStream = .frame) -> String {
        if number == sampleNumber { return "sample.pat" }
        let digits = String(number)
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits + (stream == .frame ? ".seg" : ".pat")
    }

    static func encode(_ header: Header) throws -> [UInt8] {
        guard (1...maxFrames).contains(header.framesPerSegment) else {
            throw StoreError.badSegmentLength(header.framesPerSegment, limit: maxFrames)
        }
        let json = try canonicalJSON(header.identity)
        let room = headerBytes - 8 - jsonOffset
        guard json.count <= room else { throw StoreError.headerTooLarge(json.count, limit: room) }
        var bytes = header.stream == .frame ? magic : patchMagic
        bytes.put(UInt32(header.identity.key.formatVersion))
        bytes.put(byteOrder)
        bytes.put(UInt32(headerBytes))
        bytes.put(UInt32(header.framesPerSegment))
        bytes.put(UInt32(truncatingIfNeeded: header.number))
        bytes.put(UInt32(json.count))
        bytes += json
        bytes += [UInt8](repeating: 0, count: headerBytes - 8 - bytes.count)
        bytes.put(Checksum.of(bytes))
        return bytes
    }

    /// Decodes a header of `headerBytes` bytes; throws `.newerFormat` or `.damaged`, naming `path`.
    static func decodeHeader(
        _ bytes: UnsafeRawBufferPointer, path: String, known: KnownIdentity? = nil
    ) throws -> Header {
        func damaged(_ reason: String) -> StoreError { .damagedSegment(path, reason) }
        guard bytes.count == headerBytes else { throw damaged("no header") }
        let isFrames = bytes.prefix(8).elementsEqual(magic)
        guard isFrames || bytes.prefix(8).elementsEqual(patchMagic) else { throw damaged("not a segment file") }
        guard Checksum.of(UnsafeRawBufferPointer(rebasing: bytes.prefix(headerBytes - 8))) == bytes.u64(4088) else {
            throw damaged("header checksum")
        }
        let version = Int(bytes.u32(8))
        guard version <= versions.upperBound else {
            throw StoreError.newer(path, found: version, known: versions.upperBound)
        }
        guard versions.contains(version), bytes.u32(12) == byteOrder, bytes.u32(16) == UInt32(headerBytes) else {
            throw damaged("version or byte order")
        }
        let (frames, number, length) = (Int(bytes.u32(20)), Int(bytes.u32(24)), Int(bytes.u32(28)))
        guard (1...maxFrames).contains(frames), length <= headerBytes - 8 - jsonOffset else {
            throw damaged("header values")
        }
        let text = bytes[jsonOffset..<(jsonOffset + length)]
        let isKnown = known.map { text.elementsEqual($0.text) } ?? false
        let decoded = isKnown ? known?.identity : try? JSONDecoder().decode(Identity.self, from: Data(text))
        guard let identity = decoded, identity.layout.isConsistent, identity.key.formatVersion == version else {
            throw damaged("header JSON")
        }
        return Header(
            identity: identity, stream: isFrames ? .frame : .patch, framesPerSegment: frames, number: number)
    }

    /// Encodes the head of a record, or a reference: the entry and the checksums of its parts.
    ///
    /// - Parameter distance: 0 for a record, for a reference the distance to the frame whose record it is.
    static func encodeHead(_ entry: FrameEntry, checksums: some Collection<UInt64>, distance: UInt32 = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(fixedHeadBytes + 8 * checksums.count)
        bytes.put(entry.index)
        bytes.put(distance)
        bytes.put(entry.gridTime.bitPattern)
        bytes.put(UInt64(bitPattern: entry.pts))
        bytes.put(entry.ptsSeconds.bitPattern)
        for checksum in checksums { bytes.put(checksum) }
        bytes.put(Checksum.of(bytes))
        return bytes
    }

    /// Decodes the head of a record; nil if its checksum or flags are wrong.
    static func decodeHead(_ bytes: UnsafeRawBufferPointer, parts: Int) -> (FrameEntry, [UInt64])? {
        var checksums: [UInt64] = []
        return decodeHead(bytes, parts: parts, checksums: &checksums).map { ($0, checksums) }
    }

    /// Decodes the head of a record, appending the parts' checksums; nil if its checksum or flags are wrong.
    static func decodeHead(
        _ bytes: UnsafeRawBufferPointer, parts: Int, checksums: inout [UInt64]
    ) -> FrameEntry? {
        let end = 32 + 8 * parts
        guard bytes.count == end + 8, bytes.u32(4) == 0,
            Checksum.of(UnsafeRawBufferPointer(rebasing: bytes.prefix(end))) == bytes.u64(end)
        else { return nil }
        for part in 0..<parts { checksums.append(bytes.u64(32 + 8 * part)) }
        return entry(bytes)
    }

    private static func entry(_ bytes: UnsafeRawBufferPointer) -> FrameEntry {
        FrameEntry(
            index: bytes.u32(0), gridTime: Double(bitPattern: bytes.u64(8)), pts: Int64(bitPattern: bytes.u64(16)),
            ptsSeconds: Double(bitPattern: bytes.u64(24)))
    }

    /// A frame that has the record of an earlier frame.
    struct Reference: Equatable {
        let entry: FrameEntry
        /// Index of the frame whose record it is.
        let owner: UInt32
    }

    /// Decodes a reference; nil if its checksum or distance is wrong.
    static func decodeReference(_ bytes: UnsafeRawBufferPointer) -> Reference? {
        guard bytes.count == referenceBytes, (1...max(bytes.u32(0), 1)).contains(bytes.u32(4)),
            bytes.u32(4) <= bytes.u32(0),
            Checksum.of(UnsafeRawBufferPointer(rebasing: bytes.prefix(32))) == bytes.u64(32)
        else { return nil }
        return Reference(entry: entry(bytes), owner: bytes.u32(0) - bytes.u32(4))
    }

    static func encodeFooter(count: Int, references: Int, checksum: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.put(UInt32(truncatingIfNeeded: count))
        bytes.put(UInt32(truncatingIfNeeded: references))
        bytes.put(checksum)
        return bytes + commit
    }

    /// Decodes a footer; nil if the bytes are not a footer.
    static func decodeFooter(_ bytes: UnsafeRawBufferPointer) -> (count: Int, references: Int, checksum: UInt64)? {
        guard bytes.count == footerBytes, bytes.suffix(8).elementsEqual(commit) else { return nil }
        return (Int(bytes.u32(0)), Int(bytes.u32(4)), bytes.u64(8))
    }
}

/// Encodes JSON with sorted keys, so that equal values always give the same bytes.
func canonicalJSON(_ value: some Encodable) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
        return Array(try encoder.encode(value))
    } catch {
        throw StoreError.manifestMismatch("text (\(error))")
    }
}

extension [UInt8] {
    /// Appends an integer in little-endian byte order.
    package mutating func put(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }
}

extension UnsafeRawBufferPointer {
    /// Reads a little-endian u32; the caller guarantees that the bytes are in range.
    package func u32(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    func u64(_ offset: Int) -> UInt64 { UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
}
