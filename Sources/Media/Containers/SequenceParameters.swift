/// What a sequence parameter set says about the order and the structure of a stream's pictures.
struct SequenceParameters: Equatable {
    /// True if each packet holds one whole picture, and the decoder knows how many pictures it must reorder.
    var isRegular: Bool
    /// The highest temporal sub-layer (HEVC); pictures of lower ones may be referenced even if marked otherwise.
    var highestLayer = 0

    /// Reads an H.264 sequence parameter set (ITU-T H.264, 7.3.2.1.1 and E.1.1).
    ///
    /// - Parameter unit: the NAL unit after its one-byte header.
    static func h264(_ unit: some Sequence<UInt8>) -> SequenceParameters {
        var reader = BitReader(unit)
        let profile = reader.bits(8)
        reader.skip(16)
        _ = reader.unsigned()
        if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(profile) {
            let chroma = reader.unsigned()
            if chroma == 3 { reader.skip(1) }
            _ = (reader.unsigned(), reader.unsigned())
            reader.skip(1)
            if reader.bit() {
                for list in 0..<(chroma == 3 ? 12 : 8) where reader.bit() {
                    skipScalingList(list < 6 ? 16 : 64, &reader)
                }
            }
        }
        _ = reader.unsigned()
        let orderType = reader.unsigned()
        if orderType == 0 { _ = reader.unsigned() }
        if orderType == 1 {
            reader.skip(1)
            _ = (reader.signed(), reader.signed())
            for _ in 0..<min(reader.unsigned(), 255) { _ = reader.signed() }
        }
        _ = reader.unsigned()
        let allowsGaps = reader.bit()
        _ = (reader.unsigned(), reader.unsigned())
        let hasFramesOnly = reader.bit()
        if !hasFramesOnly { reader.skip(1) }
        reader.skip(1)
        if reader.bit() { for _ in 0..<4 { _ = reader.unsigned() } }
        let ordersItself = reader.bit() && statesReordering(&reader)
        return SequenceParameters(
            isRegular: hasFramesOnly && !allowsGaps && (ordersItself || orderType == 2) && !reader.isExhausted)
    }

    private static func skipScalingList(_ size: Int, _ reader: inout BitReader) {
        var (last, next) = (8, 8)
        for _ in 0..<size {
            if next != 0 { next = (last + reader.signed() + 256) & 255 }
            last = next == 0 ? last : next
        }
    }

    /// True if the VUI parameters state the number of reordered pictures (bitstream_restriction_flag).
    private static func statesReordering(_ reader: inout BitReader) -> Bool {
        if reader.bit(), reader.bits(8) == 255 { reader.skip(32) }
        if reader.bit() { reader.skip(1) }
        if reader.bit() {
            reader.skip(4)
            if reader.bit() { reader.skip(24) }
        }
        if reader.bit() { _ = (reader.unsigned(), reader.unsigned()) }
        if reader.bit() { reader.skip(65) }
        var hasHRD = false
        for _ in 0..<2 where reader.bit() {
            hasHRD = true
            let count = min(reader.unsigned(), 31) + 1
            reader.skip(8)
            for _ in 0..<count {
                _ = (reader.unsigned(), reader.unsigned())
                reader.skip(1)
            }
            reader.skip(20)
        }
        if hasHRD { reader.skip(1) }
        reader.skip(1)
        return reader.bit()
    }

    /// Reads the first bits of an HEVC sequence parameter set (ITU-T H.265, 7.3.2.2.1).
    ///
    /// - Parameter unit: the NAL unit after its two-byte header.
    static func hevc(_ unit: some Sequence<UInt8>) -> SequenceParameters {
        var reader = BitReader(Array(unit.prefix(1)))
        reader.skip(4)
        let highest = reader.bits(3)
        return SequenceParameters(isRegular: !reader.isExhausted && highest < 7, highestLayer: highest)
    }
}
