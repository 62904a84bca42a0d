import CFFmpeg

/// Color conversion rules of a stream.
enum ColorConversion {
    /// The swscale matrix the stream names; if it names none, BT.601 below 720 rows and BT.709 from there on.
    static func matrix(_ space: AVColorSpace, height: Int) -> Int32 {
        switch space {
        case AVCOL_SPC_BT709: SWS_CS_ITU709
        case AVCOL_SPC_FCC: SWS_CS_FCC
        case AVCOL_SPC_BT470BG, AVCOL_SPC_SMPTE170M: SWS_CS_ITU601
        case AVCOL_SPC_SMPTE240M: SWS_CS_SMPTE240M
        case AVCOL_SPC_BT2020_NCL, AVCOL_SPC_BT2020_CL: SWS_CS_BT2020
        default: height < 720 ? SWS_CS_ITU601 : SWS_CS_ITU709
        }
    }

    static func isFullRange(_ frame: UnsafeMutablePointer<AVFrame>) -> Bool {
        if frame.pointee.color_range == AVCOL_RANGE_JPEG { return true }
        switch AVPixelFormat(frame.pointee.format) {
        case AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUVJ440P, AV_PIX_FMT_YUVJ411P:
            return true
        default: return false
        }
    }

    /// True if a gray frame stores black as 16 and white as 235.
    ///
    /// swscale always treats gray as full range. If a frame does not say, its codec's standard decides: limited range
    /// for the broadcast standards, full range for lossless and still-image formats.
    static func isLimitedGray(_ frame: UnsafeMutablePointer<AVFrame>, codec: AVCodecID) -> Bool {
        guard let format = av_pix_fmt_desc_get(AVPixelFormat(frame.pointee.format)), format.pointee.nb_components <= 2,
            format.pointee.flags & UInt64(AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM) == 0
        else { return false }
        switch frame.pointee.color_range {
        case AVCOL_RANGE_MPEG: return true
        case AVCOL_RANGE_JPEG: return false
        default:
            let limited = [
                AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_AV1, AV_CODEC_ID_VP9, AV_CODEC_ID_MPEG4,
                AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_PRORES, AV_CODEC_ID_DNXHD,
            ]
            return limited.contains(codec)
        }
    }

    static func isYUV(_ format: Int32) -> Bool {
        guard let format = av_pix_fmt_desc_get(AVPixelFormat(format)) else { return false }
        return format.pointee.nb_components >= 3
            && format.pointee.flags & UInt64(AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL) == 0
    }

    /// True if swscale's conversions to planar and to packed RGB give the same bytes.
    ///
    /// Those to planes have vector code since FFmpeg 5.0 (libswscale/x86/output.asm). Formats with coarser chroma than
    /// 2×2, alpha or a palette differ for some sizes, or are not tested.
    static func isSameByPlanes(_ format: Int32) -> Bool {
        guard isYUV(format), let format = av_pix_fmt_desc_get(AVPixelFormat(format)) else { return false }
        let flags = UInt64(AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_BE | AV_PIX_FMT_FLAG_HWACCEL)
        return format.pointee.nb_components == 3 && format.pointee.flags & flags == 0
            && format.pointee.log2_chroma_w <= 1 && format.pointee.log2_chroma_h <= 1
            && format.pointee.comp.0.depth <= 12
    }

    static func hasAlpha(_ format: Int32) -> Bool {
        guard let format = av_pix_fmt_desc_get(AVPixelFormat(format)) else { return false }
        return format.pointee.flags & UInt64(AV_PIX_FMT_FLAG_ALPHA) != 0
            && format.pointee.flags & UInt64(AV_PIX_FMT_FLAG_PAL) == 0
    }

    /// Limited to full range, 8-bit.
    static let expanded: [UInt8] = (0...255).map { value in
        UInt8(clamping: ((value - 16) * 255 * 2 + 219) / (219 * 2))
    }

    /// Converts three planes Y, Cg, Co, stored one below the other, to RGB.
    ///
    /// Source: ITU-T H.273, MatrixCoefficients 8.
    static func fromYCgCo(
        _ planes: UnsafePointer<UInt8>, stride: Int, width: Int, height: Int, isFull: Bool,
        to rgb: UnsafeMutablePointer<UInt8>
    ) {
        let (black, luma, chroma) =
            isFull ? (Float(0), Float(1), Float(1)) : (Float(16), Float(255) / 219, Float(255) / 224)
        func byte(_ value: Float) -> UInt8 { UInt8(clamping: Int32(exactly: value.rounded()) ?? 0) }
        for row in 0..<height {
            for column in 0..<width {
                let at = row * stride + column
                let y = (Float(planes[at]) - black) * luma
                let cg = (Float(planes[at + height * stride]) - 128) * chroma
                let co = (Float(planes[at + 2 * height * stride]) - 128) * chroma
                let out = (row * width + column) * 3
                rgb[out] = byte(y - cg + co)
                rgb[out + 1] = byte(y + cg)
                rgb[out + 2] = byte(y - cg - co)
            }
        }
    }

    /// A note that colors of this matrix are not converted as the file intends; nil if they are.
    static func unconverted(_ space: AVColorSpace) -> String? {
        let name: String? =
            switch space {
            case AVCOL_SPC_BT2020_CL: "BT.2020 with constant luminance"
            case AVCOL_SPC_SMPTE2085: "SMPTE 2085 (Y'D'zD'x)"
            case AVCOL_SPC_CHROMA_DERIVED_NCL, AVCOL_SPC_CHROMA_DERIVED_CL: "derived from the primaries"
            case AVCOL_SPC_ICTCP: "ICtCp"
            default: nil
            }
        return name.map {
            "the color matrix is \($0), which is not converted: colors differ from those the file specifies"
        }
    }

    static func isHDR(_ transfer: AVColorTransferCharacteristic) -> Bool {
        transfer == AVCOL_TRC_SMPTE2084 || transfer == AVCOL_TRC_ARIB_STD_B67
    }

    static func name(_ format: Int32) -> String {
        av_get_pix_fmt_name(AVPixelFormat(format)).map { String(cString: $0) } ?? "an unknown pixel format"
    }
}
