import CFFmpeg

/// Identifies a container by its first bytes when libavformat rejects the file.
///
/// Separates a damaged header from an unknown format.
enum ContainerHeader {
    /// The container whose signature these bytes match, allowing one or two wrong bytes; nil if none matches.
    static func name(_ head: [UInt8]) -> String? {
        func holds(_ signature: [(offset: Int, bytes: [UInt8])], wrong most: Int) -> Bool {
            var wrong = 0
            for (offset, bytes) in signature {
                guard head.count >= offset + bytes.count else { return false }
                wrong += zip(head[offset...], bytes).count { $0 != $1 }
            }
            return wrong <= most
        }
        func text(_ text: String) -> [UInt8] { Array(text.utf8) }
        if holds([(4, text("ftyp"))], wrong: 1) || holds([(4, text("moov"))], wrong: 0) { return "MP4" }
        if holds([(0, [0x1A, 0x45, 0xDF, 0xA3])], wrong: 1) { return "Matroska" }
        for offset in 4..<40 where holds([(offset, [0x42, 0x82, 0x88] + text("matroska"))], wrong: 1) {
            return "Matroska"
        }
        if holds([(0, text("RIFF")), (8, text("AVI LIST"))], wrong: 2) { return "AVI" }
        if holds([(0, text("FLV\u{1}")), (5, [0, 0, 0, 9])], wrong: 1) { return "FLV" }
        if holds([(0, text("OggS")), (4, [0, 2])], wrong: 1) { return "Ogg" }
        let asf: [UInt8] = [
            0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE, 0x6C,
        ]
        if holds([(0, asf)], wrong: 2) { return "ASF" }
        let mxf: [UInt8] = [0x06, 0x0E, 0x2B, 0x34, 0x02, 0x05, 0x01, 0x01, 0x0D, 0x01, 0x02]
        if holds([(0, mxf)], wrong: 2) { return "MXF" }
        if holds((0..<5).map { ($0 * 188, [0x47]) }, wrong: 1) { return "MPEG-TS" }
        return nil
    }

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
            return .damagedHeader(container(format), "it does not say what codec stream \(stream.pointee.index) has")
        }
        let shown = name.map { (0x20..<0x7F).contains($0) ? String(UnicodeScalar($0)) : "\\x" + hex($0) }.joined()
        let known = format.hasPrefix("matroska") ? names : tags
        let near = known.first { known in
            known.utf8.count == name.count && zip(known.utf8, name).count(where: { $0 != $1 }) <= max(1, name.count / 6)
        }
        if let near {
            return .damagedHeader(container(format), "it names the codec \"\(shown)\", which is nearly \"\(near)\"")
        }
        if !name.allSatisfy({ (0x20..<0x7F).contains($0) }) {
            return .damagedHeader(container(format), "it names the codec \"\(shown)\"")
        }
        return .unsupportedCodec("\"\(shown)\", which FFmpeg does not know")
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
