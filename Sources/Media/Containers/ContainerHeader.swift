import CFFmpeg

/// Explains why libavformat finds no codec in a container's header.
enum ContainerHeader {
    private static let tags = [
        "avc1", "avc3", "hvc1", "hev1", "mp4v", "av01", "vp08", "vp09", "mjpa", "mjpg", "jpeg", "apcn", "apch", "apcs",
        "ap4h", "H264", "h264", "X264", "HEVC", "XVID", "DIVX", "DX50", "FMP4", "MJPG", "MP42", "MP43", "WMV3", "WVC1",
    ]
    private static let names = [
        "V_MPEG4/ISO/AVC", "V_MPEGH/ISO/HEVC", "V_AV1", "V_VP8", "V_VP9", "V_MPEG4/ISO/ASP", "V_MPEG4/ISO/SP",
        "V_MJPEG",
        "V_THEORA", "V_MPEG1", "V_MPEG2", "V_PRORES", "V_FFV1", "V_UNCOMPRESSED", "V_MS/VFW/FOURCC", "V_MPEG4/MS/V3",
    ]

    /// The error for a stream without a codec: either its codec name is damaged, or FFmpeg does not know it.
    static func unknownCodec(_ stream: UnsafeMutablePointer<AVStream>, format: String, reader: FileReader) -> MediaError
    {
        let tag = stream.pointee.codecpar?.pointee.codec_tag ?? 0
        var name: [UInt8] = []
        if format.hasPrefix("matroska") {
            name = codecID(reader.bytes(at: 0, count: 1 << 20)) ?? []
        } else if tag != 0 {
            name = (0..<4).map { UInt8(truncatingIfNeeded: tag >> (8 * UInt32($0))) }
        }
        guard !name.isEmpty else {
            return .damagedHeader(container(format), "stream \(stream.pointee.index) has no codec name")
        }
        let shown = name.map { (0x20..<0x7F).contains($0) ? String(UnicodeScalar($0)) : "\\x" + hex($0) }.joined()
        let known = format.hasPrefix("matroska") ? names : tags
        let near = known.first { known in
            known.utf8.count == name.count && zip(known.utf8, name).count(where: { $0 != $1 }) <= max(1, name.count / 6)
        }
        if let near {
            return .damagedHeader(container(format), "its codec name \"\(shown)\" is nearly \"\(near)\"")
        }
        if !name.allSatisfy({ (0x20..<0x7F).contains($0) }) {
            return .damagedHeader(container(format), "its codec name is \"\(shown)\"")
        }
        return .unsupportedCodec("\"\(shown)\" (unknown to FFmpeg)")
    }

    /// The codec ID of the first video track of a Matroska file: element 0x86, then its length.
    private static func codecID(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count > 8 else { return nil }
        for index in 0..<bytes.count - 8
        where bytes[index] == 0x86 && bytes[index + 1] > 0x83 && bytes[index + 1] < 0xA8 {
            let end = index + 2 + Int(bytes[index + 1] & 0x7F)
            guard end <= bytes.count else { continue }
            let text = Array(bytes[index + 2..<end])
            let letters = text.count { (0x2F..<0x5B).contains($0) || $0 == 0x5F }
            // Accept one wrong byte in the first two letters, and a few wrong bytes in the rest.
            if text[0] == 0x56 || text[1] == 0x5F, letters >= text.count * 3 / 4 { return text }
        }
        return nil
    }

    private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    /// The display name of a container, from libavformat's name.
    static func container(_ format: String) -> String {
        let names = [
            "mov": "MP4", "matroska": "Matroska", "mpegts": "MPEG-TS", "mpeg": "MPEG-PS", "avi": "AVI", "flv": "FLV",
            "asf": "ASF", "ogg": "Ogg", "mxf": "MXF",
        ]
        return names.first { format.hasPrefix($0.key) && ($0.key != "mpeg" || format == "mpeg") }?.value ?? format
    }
}
