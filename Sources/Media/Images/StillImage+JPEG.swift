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
        try fill(frame, with: image)
        let packet = try StillPacket()
        var status = avcodec_send_frame(context.raw, frame.raw)
        if status >= 0 { status = avcodec_send_frame(context.raw, nil) }
        if status >= 0 { status = avcodec_receive_packet(context.raw, packet.raw) }
        guard status >= 0 else { throw ImageError.notEncoded(StillCodec.reason(status)) }
        return packet.bytes
    }

    /// Converts to YCbCr by JFIF's matrix, in 16-bit fixed point; each chroma value is that of the mean of 2 × 2 pixels.
    private static func fill(_ frame: borrowing StillFrame, with image: RGBImage) throws {
        guard let luma = frame.raw.pointee.data.0, let blue = frame.raw.pointee.data.1,
            let red = frame.raw.pointee.data.2
        else { throw ImageError.outOfMemory("an image") }
        let (lumaStride, blueStride, redStride) = (
            Int(frame.raw.pointee.linesize.0), Int(frame.raw.pointee.linesize.1), Int(frame.raw.pointee.linesize.2)
        )
        let (width, height) = (image.width, image.height)
        image.pixels.withUnsafeBufferPointer { pixels in
            for y in 0..<height {
                for x in 0..<width {
                    let at = (y * width + x) * 3
                    let sum = 19_595 * Int(pixels[at]) + 38_470 * Int(pixels[at + 1]) + 7471 * Int(pixels[at + 2])
                    luma[y * lumaStride + x] = UInt8(clamping: (sum + 32_768) >> 16)
                }
            }
            for y in 0..<(height + 1) / 2 {
                for x in 0..<(width + 1) / 2 {
                    var (r, g, b) = (0, 0, 0)
                    // At an odd edge the last row or column counts twice.
                    for row in [2 * y, min(2 * y + 1, height - 1)] {
                        for column in [2 * x, min(2 * x + 1, width - 1)] {
                            let at = (row * width + column) * 3
                            (r, g, b) = (r + Int(pixels[at]), g + Int(pixels[at + 1]), b + Int(pixels[at + 2]))
                        }
                    }
                    // Sums of four: two more bits than a pixel, with 128 and a half added.
                    let middle = (128 << 18) + (1 << 17)
                    let toBlue = -11_059 * r - 21_709 * g + 32_768 * b
                    let toRed = 32_768 * r - 27_439 * g - 5329 * b
                    blue[y * blueStride + x] = UInt8(clamping: (toBlue + middle) >> 18)
                    red[y * redStride + x] = UInt8(clamping: (toRed + middle) >> 18)
                }
            }
        }
    }
}
