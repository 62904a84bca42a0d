import CFFmpeg

/// Converts decoded frames to upright RGB images: the stream's color matrix and range, its rotation, and square pixels.
///
/// Rebuilds the scaler when size, pixel format or color changes within a stream, and frees the old one.
final class FrameConverter {
    private struct Shape: Equatable {
        var width: Int32, height: Int32, format: Int32
        var matrix: Int32, fullRange: Bool
        /// Conversions that swscale does not do: gray in limited range, and YCgCo.
        var expandsGray: Bool, isYCgCo: Bool
        /// Converts to planes first, which swscale does with vector code, unlike packed RGB.
        var usesPlanes: Bool
        var outWidth: Int32, outHeight: Int32

        var hasPlanes: Bool { isYCgCo || usesPlanes }
        /// The format that the scaler writes.
        var target: AVPixelFormat { isYCgCo ? AV_PIX_FMT_YUV444P : usesPlanes ? AV_PIX_FMT_GBRP : AV_PIX_FMT_RGB24 }
    }

    private var scaler: OpaquePointer?
    /// Copies planes of G, B and R to packed RGB.
    private var packer: OpaquePointer?
    private var shape: Shape?
    private var buffer: UnsafeMutableRawPointer?
    private var stride = 0
    /// The container's orientation, which takes precedence over the frames' own.
    private let orientation: Orientation?
    private let squarePixels: Bool
    private let maxPixels: Int

    private let codec: AVCodecID

    init(orientation: Orientation?, squarePixels: Bool, codec: AVCodecID, maxPixels: Int) {
        self.codec = codec
        self.orientation = orientation
        self.squarePixels = squarePixels
        self.maxPixels = maxPixels
    }

    deinit {
        sws_freeContext(scaler)
        sws_freeContext(packer)
        av_free(buffer)
    }

    /// Converts one frame.
    ///
    /// - Throws: `too_large` if the frame is above the limit, which is checked for every frame, not just the first.
    func convert(_ frame: borrowing DecodedFrame, sampleAspect: AVRational) throws -> RGBImage {
        let raw = frame.pointer
        let (width, height) = (Int(raw.pointee.width), Int(raw.pointee.height))
        guard width > 0, height > 0, raw.pointee.format >= 0 else {
            throw MediaError.library("a frame of \(width)×\(height)")
        }
        guard width <= maxPixels / height else { throw MediaError.tooLarge(width, height, limit: maxPixels) }
        let (outWidth, outHeight) = size(width, height, sampleAspect)
        guard outWidth <= maxPixels / outHeight else {
            throw MediaError.tooLarge(outWidth, outHeight, limit: maxPixels)
        }
        let isYCgCo = raw.pointee.colorspace == AVCOL_SPC_YCGCO && ColorConversion.isYUV(raw.pointee.format)
        try prepare(
            Shape(
                width: raw.pointee.width, height: raw.pointee.height, format: raw.pointee.format,
                matrix: ColorConversion.matrix(raw.pointee.colorspace, height: height),
                fullRange: ColorConversion.isFullRange(raw),
                expandsGray: ColorConversion.isLimitedGray(raw, codec: codec),
                isYCgCo: isYCgCo, usesPlanes: !isYCgCo && ColorConversion.isSameByPlanes(raw.pointee.format),
                outWidth: Int32(outWidth), outHeight: Int32(outHeight)))
        guard let scaler, let buffer else { throw MediaError.library("no scaler") }

        var planes: [UnsafePointer<UInt8>?] = withUnsafePointer(to: &raw.pointee.data) {
            $0.withMemoryRebound(to: UnsafePointer<UInt8>?.self, capacity: 8) { planes in (0..<4).map { planes[$0] } }
        }
        var strides: [Int32] = withUnsafePointer(to: &raw.pointee.linesize) {
            $0.withMemoryRebound(to: Int32.self, capacity: 8) { planes in (0..<4).map { planes[$0] } }
        }
        let first = buffer.assumingMemoryBound(to: UInt8.self)
        var target: [UnsafeMutablePointer<UInt8>?] = [first, nil, nil, nil]
        var targetStride: [Int32] = [Int32(stride), 0, 0, 0]
        if shape?.hasPlanes == true {
            target = [first, first + outHeight * stride, first + 2 * outHeight * stride, nil]
            targetStride = [Int32(stride), Int32(stride), Int32(stride), 0]
        }
        let rows = sws_scale(scaler, &planes, &strides, 0, raw.pointee.height, &target, &targetStride)
        guard rows == Int32(outHeight) else { throw MediaError.library("swscale: \(Demuxer.text(rows))") }

        let pixels = try [UInt8](unsafeUninitializedCapacity: outWidth * outHeight * 3) { pixels, count in
            guard let base = pixels.baseAddress else { return }
            defer { count = outWidth * outHeight * 3 }
            if isYCgCo {
                ColorConversion.fromYCgCo(
                    first, stride: stride, width: outWidth, height: outHeight, isFull: shape?.fullRange ?? false,
                    to: base)
                return
            }
            if let packer {
                var planes = target.map { $0.map { UnsafePointer($0) } }
                var packed: [UnsafeMutablePointer<UInt8>?] = [base, nil, nil, nil]
                var packedStride: [Int32] = [Int32(outWidth * 3), 0, 0, 0]
                let rows = sws_scale(packer, &planes, &targetStride, 0, Int32(outHeight), &packed, &packedStride)
                guard rows == Int32(outHeight) else { throw MediaError.library("swscale: \(Demuxer.text(rows))") }
                return
            }
            for row in 0..<outHeight {
                (UnsafeMutableRawPointer(base) + row * outWidth * 3).copyMemory(
                    from: buffer + row * stride, byteCount: outWidth * 3)
            }
            if shape?.expandsGray == true {
                for index in 0..<outWidth * outHeight * 3 { base[index] = ColorConversion.expanded[Int(base[index])] }
            }
        }
        return (orientation ?? Orientation.of(frame) ?? .upright).apply(
            RGBImage(width: outWidth, height: outHeight, pixels: pixels))
    }

    /// The size with square pixels; enlarges the width or the height, so that no rows or columns are lost.
    private func size(_ width: Int, _ height: Int, _ aspect: AVRational) -> (Int, Int) {
        guard squarePixels, aspect.num > 0, aspect.den > 0, aspect.num != aspect.den else { return (width, height) }
        let ratio = Double(aspect.num) / Double(aspect.den)
        // Outside the range of real anamorphic formats: the header is wrong.
        guard (0.1...10).contains(ratio) else { return (width, height) }
        if ratio > 1 { return (max(1, Int(saturating: (Double(width) * ratio).rounded())), height) }
        return (width, max(1, Int(saturating: (Double(height) / ratio).rounded())))
    }

    private func prepare(_ new: Shape) throws {
        guard new != shape else { return }
        sws_freeContext(scaler)
        scaler = nil
        sws_freeContext(packer)
        packer = nil
        av_free(buffer)
        buffer = nil
        shape = nil
        let flags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT
        guard
            let context = sws_getContext(
                new.width, new.height, AVPixelFormat(new.format), new.outWidth, new.outHeight, new.target, flags, nil,
                nil, nil)
        else {
            throw MediaError.library(
                "swscale cannot convert \(ColorConversion.name(new.format)) of \(new.width)×\(new.height)")
        }
        scaler = context
        if new.isYCgCo, let any = sws_getCoefficients(SWS_CS_DEFAULT) {
            // The same coefficients on both sides: planes are scaled and values are kept.
            _ = sws_setColorspaceDetails(context, any, 1, any, 1, 0, 1 << 16, 1 << 16)
        } else if let coefficients = sws_getCoefficients(new.matrix) {
            // Fails without effect for RGB and gray sources.
            _ = sws_setColorspaceDetails(
                context, coefficients, new.fullRange ? 1 : 0, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16,
                1 << 16)
        }
        // swscale's vector code writes past the end of a row.
        stride = (Int(new.outWidth) * (new.usesPlanes ? 1 : 3) + 127) & ~63
        if new.usesPlanes {
            packer = sws_getContext(
                new.outWidth, new.outHeight, AV_PIX_FMT_GBRP, new.outWidth, new.outHeight, AV_PIX_FMT_RGB24, flags, nil,
                nil, nil)
            guard packer != nil else { throw MediaError.library("swscale cannot convert planes to RGB") }
        }
        guard let allocated = av_malloc(stride * Int(new.outHeight) * (new.hasPlanes ? 3 : 1) + 1024) else {
            throw MediaError.library("out of memory")
        }
        buffer = allocated
        shape = new
    }
}
