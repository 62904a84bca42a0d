/// A message of the decode worker: a 64-byte little-endian header, then `payload` bytes.
///
/// | offset | type | meaning |
/// |---|---|---|
/// | 0 | u32 | magic "LTF1" |
/// | 4 | u32 | kind |
/// | 8 | u32 | payload bytes |
/// | 12 | u32 | width |
/// | 16 | u32 | height |
/// | 20 | u32 | images in the payload, one above the other |
/// | 24 | u64 | frame index |
/// | 32 | f64 | grid time, seconds |
/// | 40 | i64 | pts |
/// | 48 | f64 | pts in seconds |
/// | 56 | u64 | furthest byte of the file read |
struct WorkerMessage: Equatable {
    enum Kind: UInt32 {
        /// JSON `RecordingInfo`.
        case info = 1
        /// RGB.
        case frame
        /// No payload: reports progress.
        case heartbeat
        /// JSON `DecodeResult`.
        case end
        /// JSON `WorkerFailure`.
        case failure
        /// JSON `Sandbox.State`.
        case sandbox
        /// JSON `ClipResult`.
        case clip
    }

    static let headerBytes = 64
    static let magic: UInt32 = 0x3146_544C
    static let maxJSON = 1 << 20

    var kind: Kind
    var payload: Int
    var width = 0
    var height = 0
    var parts = 0
    var index = 0
    var gridTime = 0.0
    var pts: Int64 = 0
    var ptsSeconds = 0.0
    var highWater: Int64 = 0

    init(_ kind: Kind, payload: Int) {
        self.kind = kind
        self.payload = payload
    }

    func encode() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.headerBytes)
        bytes.withUnsafeMutableBytes { raw in
            raw.storeBytes(of: Self.magic.littleEndian, toByteOffset: 0, as: UInt32.self)
            raw.storeBytes(of: kind.rawValue.littleEndian, toByteOffset: 4, as: UInt32.self)
            raw.storeBytes(of: UInt32(clamping: payload).littleEndian, toByteOffset: 8, as: UInt32.self)
            raw.storeBytes(of: UInt32(clamping: width).littleEndian, toByteOffset: 12, as: UInt32.self)
            raw.storeBytes(of: UInt32(clamping: height).littleEndian, toByteOffset: 16, as: UInt32.self)
            raw.storeBytes(of: UInt32(clamping: parts).littleEndian, toByteOffset: 20, as: UInt32.self)
            raw.storeBytes(of: UInt64(clamping: index).littleEndian, toByteOffset: 24, as: UInt64.self)
            raw.storeBytes(of: gridTime.bitPattern.littleEndian, toByteOffset: 32, as: UInt64.self)
            raw.storeBytes(of: pts.littleEndian, toByteOffset: 40, as: Int64.self)
            raw.storeBytes(of: ptsSeconds.bitPattern.littleEndian, toByteOffset: 48, as: UInt64.self)
            raw.storeBytes(of: UInt64(clamping: highWater).littleEndian, toByteOffset: 56, as: UInt64.self)
        }
        return bytes
    }

    /// Decodes a header; nil if the bytes are not one.
    ///
    /// The caller checks the fields against its request.
    init?(_ raw: UnsafeRawBufferPointer) {
        guard raw.count == Self.headerBytes,
            UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 0, as: UInt32.self)) == Self.magic,
            let kind = Kind(rawValue: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
        else { return nil }
        func u32(_ offset: Int) -> Int {
            Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
        }
        func u64(_ offset: Int) -> UInt64 {
            UInt64(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        self.kind = kind
        payload = u32(8)
        width = u32(12)
        height = u32(16)
        parts = u32(20)
        index = Int(clamping: u64(24))
        gridTime = Double(bitPattern: u64(32))
        pts = Int64(bitPattern: u64(40))
        ptsSeconds = Double(bitPattern: u64(48))
        highWater = Int64(clamping: u64(56))
    }
}

/// A controlled refusal by the worker.
struct WorkerFailure: Codable {
    let code: MediaError.Code
    let message: String
}
