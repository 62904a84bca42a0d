/// The numbers of NaN and of infinite values in a tensor.
public struct NonFiniteCount: Sendable, Equatable, Codable {
    /// NaN values.
    public var nan: Int
    /// Positive and negative infinities.
    public var infinite: Int

    /// True if all values are finite.
    public var isZero: Bool { nan == 0 && infinite == 0 }

    /// Counts of a tensor, or zero to add to.
    public init(nan: Int = 0, infinite: Int = 0) {
        self.nan = nan
        self.infinite = infinite
    }
}

extension StoredTensor {
    /// Counts NaN and infinite values; always zero for integer types.
    ///
    /// Reads every byte once, in order; does not allocate.
    public func countNonFinite() -> NonFiniteCount {
        switch type {
        case .f16: count(magnitude: 0x7fff as UInt16, infinity: 0x7c00)
        case .bf16: count(magnitude: 0x7fff as UInt16, infinity: 0x7f80)
        case .f32: count(magnitude: 0x7fff_ffff as UInt32, infinity: 0x7f80_0000)
        case .f64: count(magnitude: 0x7fff_ffff_ffff_ffff as UInt64, infinity: 0x7ff0_0000_0000_0000)
        case .f8e5m2: count(magnitude: 0x7f as UInt8, infinity: 0x7c)
        case .f8e4m3: e4m3()
        case .bool, .u8, .i8, .i16, .u16, .i32, .u32, .i64, .u64: NonFiniteCount()
        }
    }

    private func count<Raw: FixedWidthInteger & BitwiseCopyable>(magnitude: Raw, infinity: Raw) -> NonFiniteCount {
        let size = MemoryLayout<Raw>.size
        var nan = 0
        var infinite = 0
        withExtendedLifetime(owner) {
            for index in 0..<bytes.count / size {
                let raw =
                    Raw(littleEndian: bytes.loadUnaligned(fromByteOffset: index &* size, as: Raw.self)) & magnitude
                nan &+= raw > infinity ? 1 : 0
                infinite &+= raw == infinity ? 1 : 0
            }
        }
        return NonFiniteCount(nan: nan, infinite: infinite)
    }

    /// F8_E4M3 has no infinity and one NaN per sign.
    private func e4m3() -> NonFiniteCount {
        withExtendedLifetime(owner) { NonFiniteCount(nan: bytes.reduce(0) { $0 + ($1 & 0x7f == 0x7f ? 1 : 0) }) }
    }
}
