import CFFmpeg

extension StillImage {
    /// The quantizer scale of thumbnails: 2 is the best of MJPEG, 31 the smallest.
    public static let thumbnailScale = 5

    /// Encodes an image as baseline JPEG, YCbCr 4:2:0 in full range (JFIF).
    ///
    /// The same pixels give the same bytes; no comment names the encoder. Throws `picture_not_encoded`.
    ///
    /// - Parameter scale: quantizer scale, 2 (best) to 31 (smallest).
    public static func encodeJPEG(_ image: RGBImage, scale: Int = thumbnailScale) throws -> [UInt8] {
        guard let width = Int32(exactly: image.width), let height = Int32(exactly: image.height),
            image.width <= maximumSide, image.height <= maximumSide
        else { throw ImageError.notEncoded("its size is too large") }
        if let missing = MediaLibraries.missing { throw ImageError.noLibrary(missing) }
        guard let codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG) else { throw ImageError.noCodec("JPEG") }
        let quality = Int32(min(max(scale, 2), 31)) * FF_QP2LAMBDA
        let context = try StillCodecContext(codec)
        context.raw.pointee.width = width
        context.raw.pointee.height = height
        context.raw.pointee.pix_fmt = AV_PIX_FMT_YUV420P
        context.raw.pointee.color_range = AVCOL_RANGE_JPEG
        context.raw.pointee.time_base = AVRational(num: 1, den: 1)
        context.raw.pointee.flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT
        context.raw.pointee.global_quality = quality
        try context.open(codec) { ImageError.notEncoded($0) }
        let frame = try StillFrame.holding(width: width, height: height, format: AV_PIX_FMT_YUV420P)
        frame.raw.pointee.color_range = AVCOL_RANGE_JPEG
        frame.raw.pointee.quality = quality
        try convert(StillFrame.holding(image), to: frame)
        return try context.encode(frame)
    }

    /// Converts RGB to YCbCr by BT.601, as JFIF has it, in full range; each chroma value is that of 2 × 2 pixels.
    private static func convert(_ image: borrowing StillFrame, to frame: borrowing StillFrame) throws {
        let (width, height) = (image.raw.pointee.width, image.raw.pointee.height)
        // Without bit-exactness the bytes would depend on the processor.
        let flags = SWS_AREA | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INP
        guard
            let scaler = sws_getContext(
                width, height, image.format, width, height, frame.format, Int32(flags), nil, nil, nil)
        else { throw ImageError.notEncoded("its pixels cannot be converted") }
        defer { sws_freeContext(scaler) }
        let matrix = sws_getCoefficients(SWS_CS_ITU601)
        guard sws_setColorspaceDetails(scaler, matrix, 1, matrix, 1, 0, 1 << 16, 1 << 16) >= 0,
            sws_scale_frame(scaler, frame.raw, image.raw) >= 0
        else { throw ImageError.notEncoded("its pixels cannot be converted") }
    }
}
