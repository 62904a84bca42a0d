/// The bytes that a file of a container format begins with.
struct ContainerSignature: Sendable {
    /// The container's name in messages.
    let name: String
    /// Bytes expected at offsets from the start.
    private let pattern: [(offset: Int, bytes: [UInt8])]
    /// Wrong bytes that a damaged header may have and still be recognized.
    private let tolerance: Int
    /// Further evidence in up to 1024 bytes, required in the middle of a file; nil if the format is not looked for
    /// there.
    private let confirmation: (@Sendable ([UInt8]) -> Bool)?
    /// The start of libavformat's name, if its demuxer continues into a second recording of this format by itself.
    private let continuedBy: String?

    private init(
        _ name: String, _ pattern: [(Int, [UInt8])], tolerance: Int, continuedBy: String? = nil,
        confirmation: (@Sendable ([UInt8]) -> Bool)? = nil
    ) {
        self.name = name
        self.pattern = pattern
        self.tolerance = tolerance
        self.continuedBy = continuedBy
        self.confirmation = confirmation
    }

    /// The signatures that are looked for in the middle of a file.
    private static let confirmable = all.filter { $0.confirmation != nil }

    /// False if no recording found in the middle of a file can begin with this byte.
    static func mayBegin(with byte: UInt8) -> Bool {
        switch byte {
        case 0x00, 0x1A, 0x46, 0x47, 0x52: true  // MP4, Matroska, FLV, MPEG-TS, AVI
        default: false
        }
    }

    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static let all: [ContainerSignature] =
        [
            ContainerSignature("MP4", [(4, text("ftyp"))], tolerance: 1, confirmation: isFileType),
            ContainerSignature("MP4", [(4, text("moov"))], tolerance: 0),
            ContainerSignature(
                "Matroska", [(0, [0x1A, 0x45, 0xDF, 0xA3])], tolerance: 1, continuedBy: "matroska",
                confirmation: hasDocumentType),
        ]
        // The element DocType, wherever it is in the header.
        + (4..<40).map {
            ContainerSignature("Matroska", [($0, [0x42, 0x82, 0x88] + text("matroska"))], tolerance: 1)
        }
        + [
            ContainerSignature(
                "AVI", [(0, text("RIFF")), (8, text("AVI LIST"))], tolerance: 2, continuedBy: "avi"
            ) { _ in true },
            ContainerSignature("FLV", [(0, text("FLV\u{1}")), (5, [0, 0, 0, 9])], tolerance: 1) { _ in true },
            ContainerSignature("Ogg", [(0, text("OggS")), (4, [0, 2])], tolerance: 1),
            ContainerSignature(
                "ASF",
                [
                    (
                        0,
                        [
                            0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11, 0xA6, 0xD9, 0x00, 0xAA, 0x00, 0x62, 0xCE,
                            0x6C,
                        ]
                    )
                ], tolerance: 2),
            ContainerSignature(
                "MXF", [(0, [0x06, 0x0E, 0x2B, 0x34, 0x02, 0x05, 0x01, 0x01, 0x0D, 0x01, 0x02])], tolerance: 2),
            ContainerSignature(
                "MPEG-TS", (0..<5).map { ($0 * TransportPacket.length, [TransportPacket.syncByte]) }, tolerance: 1,
                continuedBy: "mpegts"
            ) { bytes in
                // A sixth packet; five bytes may agree by chance.
                bytes.count > 5 * TransportPacket.length
                    && bytes[5 * TransportPacket.length] == TransportPacket.syncByte
            },
        ]

    /// True if a file type box is followed by a box that MP4 files have there.
    private static func isFileType(_ bytes: [UInt8]) -> Bool {
        guard bytes.starts(with: [0, 0, 0]) else { return false }
        let next = Int(bytes[3]) + 4
        return ["moov", "mdat", "free", "wide", "skip", "uuid", "moof", "pdin", "styp"].contains {
            bytes.dropFirst(next).starts(with: $0.utf8)
        }
    }

    private static func hasDocumentType(_ bytes: [UInt8]) -> Bool {
        (4..<48).contains { offset in
            ["matroska", "webm"].contains { bytes.dropFirst(offset).starts(with: $0.utf8) }
        }
    }

    /// The number of bytes that differ from the pattern; nil if there are too few bytes.
    private func wrongBytes(_ bytes: some Collection<UInt8>) -> Int? {
        var wrong = 0
        for (offset, expected) in pattern {
            guard bytes.count >= offset + expected.count else { return nil }
            wrong += zip(bytes.dropFirst(offset), expected).count { $0 != $1 }
        }
        return wrong
    }

    /// The container whose signature begins a file, allowing for the wrong bytes of a damaged header; nil if none does.
    static func damaged(_ head: [UInt8]) -> String? {
        all.first { signature in signature.wrongBytes(head).map { $0 <= signature.tolerance } ?? false }?.name
    }

    /// The container that begins at the start of `bytes` in the middle of a file, without a wrong byte.
    ///
    /// - Parameter format: libavformat's name of the file's container; a recording that its demuxer continues into by
    ///   itself is not reported.
    static func exact(_ bytes: ArraySlice<UInt8>, in format: String) -> String? {
        guard bytes.count >= 32 else { return nil }
        let signatures = confirmable
        for index in signatures.indices {
            let (offset, pattern) = signatures[index].pattern[0]
            guard bytes[bytes.startIndex + offset] == pattern[0], signatures[index].wrongBytes(bytes) == 0,
                !(signatures[index].continuedBy.map(format.hasPrefix) ?? false),
                signatures[index].confirmation?(Array(bytes.prefix(1024))) == true
            else { continue }
            return signatures[index].name
        }
        return nil
    }
}
