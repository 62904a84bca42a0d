import CFFmpeg

/// What a packet means for the packets after it.
enum CodedFrame: Equatable {
    /// A key frame with which decoding can start: no later frame depends on an earlier one.
    case entry
    /// Later frames may depend on it.
    case reference
    /// Neither a frame nor the decoder's state depends on it.
    case disposable
    /// Not understood: nothing is skipped from here on.
    case irregular
}

/// Tells which packets of a stream can be left out, by the headers of their NAL units or by the codec.
///
/// Claims nothing that decoding in full would not confirm: the container's key flags are not used.
struct CodedFrames {
    private enum Codec { case h264, hevc, intra }

    private let codec: Codec
    /// Bytes of the length before each NAL unit; nil for start codes.
    private var lengthBytes: Int?
    private var parameters: SequenceParameters?
    /// The units of parameter sets in the stream's configuration.
    private var configuration: [[UInt8]] = []
    private var isReadingConfiguration = false
    /// True while every group of packets from an entry up to the next is decoded the same by a decoder that has seen the
    /// configuration alone: no packet so far has brought anything that applies to later groups.
    private(set) var isParallel: Bool

    /// Returns nil for a codec whose packets say too little.
    init?(_ stream: UnsafeMutablePointer<AVStream>) {
        guard let coded = stream.pointee.codecpar else { return nil }
        switch coded.pointee.codec_id {
        case AV_CODEC_ID_H264: codec = .h264
        case AV_CODEC_ID_HEVC: codec = .hevc
        case AV_CODEC_ID_MJPEG, AV_CODEC_ID_PRORES, AV_CODEC_ID_DNXHD, AV_CODEC_ID_RAWVIDEO, AV_CODEC_ID_HUFFYUV,
            AV_CODEC_ID_UTVIDEO, AV_CODEC_ID_DVVIDEO:
            (codec, isParallel) = (.intra, false)
            return
        default: return nil
        }
        isParallel = true
        guard coded.pointee.field_order.rawValue <= AV_FIELD_PROGRESSIVE.rawValue else { return nil }
        let extra = UnsafeBufferPointer(
            start: coded.pointee.extradata, count: max(0, Int(coded.pointee.extradata_size)))
        isReadingConfiguration = true
        guard readConfiguration(extra) else { return nil }
        isReadingConfiguration = false
        // A set may replace another with the same number; what holds then depends on what was decoded before.
        let kinds = Set(configuration.map { kind($0[0]) })
        isParallel = isParallel && !kinds.isEmpty && kinds.count == configuration.count
    }

    /// Type of a NAL unit by its first byte.
    private func kind(_ first: UInt8) -> UInt8 { codec == .h264 ? first & 31 : first >> 1 & 63 }

    /// Takes note of a parameter set.
    private mutating func seeSet(_ unit: UnsafeBufferPointer<UInt8>) {
        // Zeros before a start code.
        let end = unit.lastIndex { $0 != 0 } ?? 0
        let bytes = unit[...end]
        if isReadingConfiguration {
            configuration.append(Array(bytes))
        } else if isParallel, !configuration.contains(where: { $0.elementsEqual(bytes) }) {
            isParallel = false
        }
    }

    /// Reads avcC, hvcC (ISO/IEC 14496-15) or units after start codes; returns false for anything else.
    private mutating func readConfiguration(_ extra: UnsafeBufferPointer<UInt8>) -> Bool {
        guard extra.count > 6 else { return extra.isEmpty }
        if extra[0] == 0 {
            var role = CodedFrame.reference
            Self.forEachUnit(extra, lengthBytes: nil) { see($0, &role) }
            return role != .irregular
        }
        guard extra[0] == 1 else { return false }
        func word(_ at: Int) -> Int { at + 1 < extra.count ? Int(extra[at]) << 8 | Int(extra[at + 1]) : 0 }
        var role = CodedFrame.reference
        func read(_ at: inout Int) {
            let size = word(at)
            at += 2
            guard size > 0, at + size <= extra.count else { return }
            see(UnsafeBufferPointer(rebasing: extra[at..<at + size]), &role)
            at += size
        }
        if codec == .h264 {
            lengthBytes = Int(extra[4] & 3) + 1
            var at = 6
            for _ in 0..<Int(extra[5] & 31) { read(&at) }
        } else {
            guard extra.count > 23 else { return false }
            lengthBytes = Int(extra[21] & 3) + 1
            var at = 23
            for _ in 0..<Int(extra[22]) where at + 3 <= extra.count {
                let units = word(at + 1)
                at += 3
                for _ in 0..<units where at < extra.count { read(&at) }
            }
        }
        return role != .irregular
    }

    /// Classifies a packet.
    mutating func role(_ packet: borrowing Packet) -> CodedFrame {
        let raw = packet.pointer.pointee
        guard raw.size > 0, let data = raw.data else { return .irregular }
        if codec == .intra { return .entry }
        // A change of the configuration.
        guard raw.side_data_elems == 0 || av_packet_get_side_data(packet.pointer, AV_PKT_DATA_NEW_EXTRADATA, nil) == nil
        else { return .irregular }
        var role: CodedFrame?
        let bytes = UnsafeBufferPointer(start: data, count: Int(raw.size))
        var isWhole = true
        isWhole = Self.forEachUnit(bytes, lengthBytes: lengthBytes) { unit in
            var own = role ?? .reference
            let isPicture = see(unit, &own)
            if own == .irregular {
                role = .irregular
            } else if isPicture {
                // All slices must agree.
                role = role == nil || role == own ? own : .irregular
            }
        }
        guard isWhole, let role, parameters?.isRegular == true else { return .irregular }
        return role
    }

    /// Takes note of one NAL unit; returns true if it is part of a picture, whose role is then set.
    @discardableResult
    private mutating func see(_ unit: UnsafeBufferPointer<UInt8>, _ role: inout CodedFrame) -> Bool {
        guard unit.count > 2 else { return false }
        return codec == .h264 ? seeH264(unit, &role) : seeHEVC(unit, &role)
    }

    // ITU-T H.264, table 7-1.
    private mutating func seeH264(_ unit: UnsafeBufferPointer<UInt8>, _ role: inout CodedFrame) -> Bool {
        switch unit[0] & 31 {
        case 1:
            role = unit[0] & 0x60 == 0 ? .disposable : .reference
            return true
        case 5:
            role = .entry
            return true
        case 7:
            let found = SequenceParameters.h264(unit.dropFirst().prefix(1024))
            if !found.isRegular || parameters.map({ $0 != found }) ?? false { role = .irregular }
            parameters = found
            seeSet(unit)
        case 6: seeEnhancement(unit.dropFirst(), &role)
        case 8: seeSet(unit)
        case 9, 12: break
        case 13: isParallel = false
        default: role = .irregular
        }
        return false
    }

    // ITU-T H.265, table 7-1.
    private mutating func seeHEVC(_ unit: UnsafeBufferPointer<UInt8>, _ role: inout CodedFrame) -> Bool {
        let (type, layer) = (unit[0] >> 1 & 63, Int(unit[0] & 1) << 5 | Int(unit[1] >> 3))
        guard layer == 0 else {
            role = .irregular
            return false
        }
        switch type {
        case 19, 20:
            role = .entry
            return true
        case 0, 2, 4, 6:
            // "Sub-layer non-reference" pictures may still be referenced by higher sub-layers.
            role = Int(unit[1] & 7) - 1 == parameters?.highestLayer ? .disposable : .reference
            return true
        case 1, 3, 5, 7, 8, 9, 16, 17, 18, 21:
            role = .reference
            return true
        case 33:
            let found = SequenceParameters.hevc(unit.dropFirst(2).prefix(16))
            if !found.isRegular || parameters.map({ $0 != found }) ?? false { role = .irregular }
            parameters = found
            seeSet(unit)
        case 39: seeEnhancement(unit.dropFirst(2), &role)
        case 32, 34: seeSet(unit)
        case 35, 38, 40: break
        default: role = .irregular
        }
        return false
    }

    /// Messages that concern only what is shown beside the picture, or the picture itself: buffering, timing, captions,
    /// user data, recovery points, hashes, brightness of the mastering display.
    private static let harmlessMessages: Set<Int> = [0, 1, 4, 5, 6, 129, 132, 136, 137, 144]

    /// Takes note of the messages of an SEI unit.
    private mutating func seeEnhancement(_ bytes: Slice<UnsafeBufferPointer<UInt8>>, _ role: inout CodedFrame) {
        var at = bytes.startIndex
        func value() -> Int? {
            var sum = 0
            while at < bytes.endIndex, bytes[at] == 255 {
                sum += 255
                at += 1
            }
            guard at < bytes.endIndex else { return nil }
            defer { at += 1 }
            return sum + Int(bytes[at])
        }
        // 0x80 is the trailing bit alone.
        while at < bytes.endIndex, bytes[at] != 0x80 {
            guard let type = value(), let size = value() else { break }
            // The display orientation, which applies to later frames as well.
            if type == 47 { role = .irregular }
            if !Self.harmlessMessages.contains(type) { isParallel = false }
            let end = min(bytes.endIndex, at + size)
            // libavcodec decodes the errors of old x264 versions as those made them, by the version in the first frame.
            if type == 5, isParallel, Self.isOldEncoder(bytes[at..<end]) { isParallel = false }
            at = end
        }
    }

    /// True for the user data of a version of x264 before core 151.
    private static func isOldEncoder(_ data: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        // 16 bytes of a UUID, then a text such as "x264 - core 164 r3095".
        let name = "x264 - core "
        let text = data.dropFirst(16).prefix(name.utf8.count + 6)
        guard text.starts(with: name.utf8) else { return false }
        let digits = text.dropFirst(name.utf8.count).prefix { $0 >= 0x30 && $0 <= 0x39 }
        return (Int(String(decoding: digits, as: UTF8.self)) ?? 0) < 151
    }

    /// Calls `body` with each NAL unit; returns false if the lengths do not fit.
    @discardableResult
    private static func forEachUnit(
        _ bytes: UnsafeBufferPointer<UInt8>, lengthBytes: Int?, _ body: (UnsafeBufferPointer<UInt8>) -> Void
    ) -> Bool {
        if let lengthBytes {
            var at = 0
            while at < bytes.count {
                guard at + lengthBytes <= bytes.count else { return false }
                let size = bytes[at..<at + lengthBytes].reduce(0) { $0 << 8 | Int($1) }
                at += lengthBytes
                guard size <= bytes.count - at else { return false }
                body(UnsafeBufferPointer(rebasing: bytes[at..<at + size]))
                at += size
            }
            return true
        }
        var start: Int?
        var at = 0
        while at + 2 < bytes.count {
            // A start code is 00 00 01.
            if bytes[at + 2] > 1 {
                at += 3
            } else if bytes[at] == 0, bytes[at + 1] == 0, bytes[at + 2] == 1 {
                if let start { body(UnsafeBufferPointer(rebasing: bytes[start..<at])) }
                start = at + 3
                at += 3
            } else {
                at += 1
            }
        }
        if let start { body(UnsafeBufferPointer(rebasing: bytes[start..<bytes.count])) }
        return start != nil
    }
}
