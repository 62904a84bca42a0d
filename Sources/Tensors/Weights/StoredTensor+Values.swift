extension StoredTensor {
    /// Copies the values as f32; throws `type_unsupported` unless the type is F64, F32, F16 or BF16.
    public func floats() throws -> [Float] {
        switch type {
        case .f32: values(UInt32.self) { Float(bitPattern: $0) }
        case .f16: values(UInt16.self) { Float(Float16(bitPattern: $0)) }
        case .bf16: values(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
        case .f64: values(UInt64.self) { Float(Double(bitPattern: $0)) }
        default: throw WeightsError.typeUnsupported(name, type, wanted: "a floating-point type")
        }
    }

    /// Copies the values as 64-bit integers; throws `type_unsupported` for floating-point types and U64.
    public func integers() throws -> [Int64] {
        switch type {
        case .bool, .u8: values(UInt8.self) { Int64($0) }
        case .i8: values(Int8.self) { Int64($0) }
        case .i16: values(Int16.self) { Int64($0) }
        case .u16: values(UInt16.self) { Int64($0) }
        case .i32: values(Int32.self) { Int64($0) }
        case .u32: values(UInt32.self) { Int64($0) }
        case .i64: values(Int64.self) { $0 }
        default: throw WeightsError.typeUnsupported(name, type, wanted: "an integer type")
        }
    }

    private func values<Raw: FixedWidthInteger & BitwiseCopyable, Value>(
        _: Raw.Type, _ convert: (Raw) -> Value
    ) -> [Value] {
        let size = MemoryLayout<Raw>.size
        let total = bytes.count / size
        return withExtendedLifetime(owner) {
            [Value](unsafeUninitializedCapacity: total) { buffer, filled in
                for index in 0..<total {
                    let raw = bytes.loadUnaligned(fromByteOffset: index * size, as: Raw.self)
                    buffer.initializeElement(at: index, to: convert(Raw(littleEndian: raw)))
                }
                filled = total
            }
        }
    }
}
