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

    /// Returns nil for a codec whose packets say too little.
    init?(_ stream: UnsafeMutablePointer<AVStream>) {
        guard let coded = stream.pointee.codecpar else { return nil }
        switch coded.pointee.codec_id {
        case AV_CODEC_ID_H264: codec = .h264
        case AV_CODEC_ID_HEVC: codec = .hevc
        case AV_CODEC_ID_MJPEG, AV_CODEC_ID_PRORES, AV_CODEC_ID_DNXHD, AV_CODEC_ID_RAWVIDEO, AV_CODEC_ID_HUFFYUV,
            AV_CODEC_ID_UTVIDEO, AV_CODEC_ID_DVVIDEO:
            codec = .intra
            return
        default: return nil
        }
        guard coded.pointee.field_order.rawValue <= AV_FIELD_PROGRESSIVE.rawValue else { return nil }
        let extra = UnsafeBufferPointer(
            start: coded.pointee.extradata, count: max(0, Int(coded.pointee.extradata_size)))
        guard readConfiguration(extra) else { return nil }
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
        case 6:
            // The display orientation, which applies to later frames as well.
            if Self.hasDisplayOrientation(unit.dropFirst()) { role = .irregular }
        case 8, 9, 12, 13: break
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
        case 39: if Self.hasDisplayOrientation(unit.dropFirst(2)) { role = .irregular }
        case 32, 34, 35, 38, 40: break
        default: role = .irregular
        }
        return false
    }

    /// True if an SEI unit has a display orientation message, payload type 47; or if it cannot be read.
    private static func hasDisplayOrientation(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
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
            guard let type = value(), let size = value() else { return false }
            if type == 47 { return true }
            at = min(bytes.endIndex, at + size)
        }
        return false
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
