import CFFmpeg

/// Converts any decoded image to 8-bit RGB: packed layouts exactly, YUV through libswscale.
enum StillPixels {
    static func image(of frame: borrowing StillFrame, format: ImageHeader.Format) throws -> RGBImage {
        guard let plane = frame.plane, frame.stride > 0 else {
            throw ImageError.damaged(format.rawValue, "it holds no pixels")
        }
        let (width, height, stride) = (frame.width, frame.height, frame.stride)
        let layout: Packed
        switch frame.format {
        case AV_PIX_FMT_RGB24: layout = Packed(step: 3, red: 0, green: 1, blue: 2)
        case AV_PIX_FMT_RGBA: layout = Packed(step: 4, red: 0, green: 1, blue: 2)
        case AV_PIX_FMT_ARGB: layout = Packed(step: 4, red: 1, green: 2, blue: 3)
        case AV_PIX_FMT_BGRA: layout = Packed(step: 4, red: 2, green: 1, blue: 0)
        case AV_PIX_FMT_GRAY8: layout = Packed(step: 1, red: 0, green: 0, blue: 0)
        case AV_PIX_FMT_YA8: layout = Packed(step: 2, red: 0, green: 0, blue: 0)
        // Big endian: the high byte comes first.
        case AV_PIX_FMT_RGB48BE: layout = Packed(step: 6, red: 0, green: 2, blue: 4)
        case AV_PIX_FMT_RGBA64BE: layout = Packed(step: 8, red: 0, green: 2, blue: 4)
        case AV_PIX_FMT_GRAY16BE: layout = Packed(step: 2, red: 0, green: 0, blue: 0)
        case AV_PIX_FMT_YA16BE: layout = Packed(step: 4, red: 0, green: 0, blue: 0)
        case AV_PIX_FMT_PAL8: return try paletted(frame, format)
        case AV_PIX_FMT_MONOBLACK:
            return filled(width, height) { target in
                for y in 0..<height {
                    let row = plane + y * stride
                    for x in 0..<width {
                        let value: UInt8 = row[x >> 3] >> UInt8(7 - (x & 7)) & 1 == 0 ? 0 : 255
                        for channel in 0..<3 { target[(y * width + x) * 3 + channel] = value }
                    }
                }
            }
        default: return try scaled(frame, format)
        }
        return filled(width, height) { target in
            var to = 0
            for y in 0..<height {
                var from = plane + y * stride
                for _ in 0..<width {
                    target[to] = from[layout.red]
                    target[to + 1] = from[layout.green]
                    target[to + 2] = from[layout.blue]
                    from += layout.step
                    to += 3
                }
            }
        }
    }

    /// Bytes per pixel, and the offsets of the channels' (high) bytes within a pixel.
    private struct Packed {
        let step: Int
        let red: Int
        let green: Int
        let blue: Int
    }

    private static func filled(
        _ width: Int, _ height: Int, _ body: (UnsafeMutableBufferPointer<UInt8>) -> Void
    ) -> RGBImage {
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { target, count in
            body(target)
            count = width * height * 3
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// The second plane holds 256 colors, each 0xAARRGGBB in native byte order.
    private static func paletted(
        _ frame: borrowing StillFrame, _ format: ImageHeader.Format
    ) throws -> RGBImage {
        guard let plane = frame.plane, let palette = frame.raw.pointee.data.1 else {
            throw ImageError.damaged(format.rawValue, "its palette is missing")
        }
        let colors = (0..<256).map { UnsafeRawPointer(palette).loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self) }
        let (width, height, stride) = (frame.width, frame.height, frame.stride)
        return filled(width, height) { target in
            for y in 0..<height {
                for x in 0..<width {
                    let color = colors[Int(plane[y * stride + x])]
                    let to = (y * width + x) * 3
                    target[to] = UInt8(truncatingIfNeeded: color >> 16)
                    target[to + 1] = UInt8(truncatingIfNeeded: color >> 8)
                    target[to + 2] = UInt8(truncatingIfNeeded: color)
                }
            }
        }
    }

    /// Converts YUV and the decoders' other formats through libswscale, dropping alpha.
    private static func scaled(_ frame: borrowing StillFrame, _ format: ImageHeader.Format) throws -> RGBImage {
        guard let descriptor = av_pix_fmt_desc_get(frame.format), sws_isSupportedInput(frame.format) > 0 else {
            throw ImageError.unsupportedPixels(format.rawValue, "format \(frame.format.rawValue)")
        }
        let name = descriptor.pointee.name.map { String(cString: $0) } ?? "format \(frame.format.rawValue)"
        let (width, height) = (frame.raw.pointee.width, frame.raw.pointee.height)
        // Full chroma and exact rounding come closest to libjpeg's conversion.
        let flags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP
        let (source, isFullRange) = withoutRange(frame.format)
        guard
            let scaler = sws_getContext(
                width, height, source, width, height, AV_PIX_FMT_RGB24, Int32(flags), nil, nil, nil)
        else { throw ImageError.unsupportedPixels(format.rawValue, name) }
        defer { sws_freeContext(scaler) }
        let full = isFullRange || frame.raw.pointee.color_range == AVCOL_RANGE_JPEG
        // JFIF and WebP both use BT.601. The call fails for RGB sources, which need no matrix.
        let matrix = sws_getCoefficients(SWS_CS_ITU601)
        _ = sws_setColorspaceDetails(scaler, matrix, full ? 1 : 0, matrix, 1, 0, 1 << 16, 1 << 16)
        let target = try StillFrame.holding(width: width, height: height, format: AV_PIX_FMT_RGB24)
        guard sws_scale_frame(scaler, target.raw, frame.raw) >= 0 else {
            throw ImageError.unsupportedPixels(format.rawValue, name)
        }
        return try image(of: target, format: format)
    }

    /// libswscale warns about the yuvj formats; the plain format with full range set is equivalent.
    private static func withoutRange(_ format: AVPixelFormat) -> (AVPixelFormat, isFullRange: Bool) {
        switch format {
        case AV_PIX_FMT_YUVJ420P: (AV_PIX_FMT_YUV420P, true)
        case AV_PIX_FMT_YUVJ422P: (AV_PIX_FMT_YUV422P, true)
        case AV_PIX_FMT_YUVJ444P: (AV_PIX_FMT_YUV444P, true)
        case AV_PIX_FMT_YUVJ440P: (AV_PIX_FMT_YUV440P, true)
        default: (format, false)
        }
    }
}
