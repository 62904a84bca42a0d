import CFFmpeg

/// Reads and writes single images.
public enum StillImage {
    /// Maximum pixels of an image.
    public static let maximumPixels = 8192 * 8192
    /// Maximum side in pixels: the largest that JPEG can represent.
    public static let maximumSide = 65535
    /// Maximum size of an image file, in bytes.
    public static let maximumBytes = 256 << 20

    /// Decodes a PNG, JPEG or WebP image, detected by its first bytes.
    ///
    /// As PIL's `convert("RGB")`: alpha is dropped, palettes are applied, gray is repeated; EXIF orientation and color
    /// profiles are ignored. 16-bit values keep their high byte (PIL clips 16-bit gray instead). Animated PNG gives its
    /// first image; animated WebP is refused. Throws `ImageError`; sizes are checked before allocation.
    public static func decode(_ bytes: [UInt8]) throws -> RGBImage {
        guard !bytes.isEmpty else { throw ImageError.noBytes }
        guard bytes.count <= maximumBytes else {
            throw ImageError.tooManyBytes(bytes.count, limit: maximumBytes)
        }
        let header = try ImageHeader(bytes)
        guard header.width > 0, header.height > 0 else { throw ImageError.noPixels }
        guard header.width <= maximumSide, header.height <= maximumSide,
            header.width * header.height <= maximumPixels
        else {
            throw ImageError.tooManyPixels(width: header.width, height: header.height, limit: maximumPixels)
        }
        let frame = try decodedFrame(bytes, header)
        guard frame.width == header.width, frame.height == header.height else {
            throw ImageError.damaged(header.format.rawValue, "its size differs from its header's")
        }
        return try StillPixels.image(of: frame, format: header.format)
    }

    private static func decodedFrame(_ bytes: [UInt8], _ header: ImageHeader) throws -> StillFrame {
        if let missing = MediaLibraries.missing { throw ImageError.noLibrary(missing) }
        let name = header.format.rawValue
        let identifier =
            switch header.format {
            case .png: AV_CODEC_ID_PNG
            case .jpeg: AV_CODEC_ID_MJPEG
            case .webp: AV_CODEC_ID_WEBP
            }
        guard let codec = avcodec_find_decoder(identifier) else { throw ImageError.noCodec(name) }
        let context = try StillCodecContext(codec)
        context.raw.pointee.max_pixels = Int64(maximumPixels)
        context.raw.pointee.err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK
        try context.open(codec) { ImageError.damaged(name, $0) }
        let packet = try StillPacket.copying(bytes)
        let frame = try StillFrame()
        var status = avcodec_send_packet(context.raw, packet.raw)
        if status >= 0 { status = avcodec_send_packet(context.raw, nil) }
        if status >= 0 { status = avcodec_receive_frame(context.raw, frame.raw) }
        guard status >= 0 else {
            throw ImageError.damaged(
                name, status == AVERROR_EOF ? "it has no complete image" : StillCodec.reason(status))
        }
        guard frame.raw.pointee.decode_error_flags == 0, frame.raw.pointee.flags & AV_FRAME_FLAG_CORRUPT == 0 else {
            throw ImageError.damaged(name, "parts of it are missing")
        }
        return frame
    }

    /// Encodes an image as 8-bit RGB PNG.
    ///
    /// Throws `picture_not_encoded`.
    public static func encodePNG(_ image: RGBImage) throws -> [UInt8] {
        guard let width = Int32(exactly: image.width), let height = Int32(exactly: image.height) else {
            throw ImageError.notEncoded("its size is too large")
        }
        if let missing = MediaLibraries.missing { throw ImageError.noLibrary(missing) }
        guard let codec = avcodec_find_encoder(AV_CODEC_ID_PNG) else { throw ImageError.noCodec("PNG") }
        let context = try StillCodecContext(codec)
        context.raw.pointee.width = width
        context.raw.pointee.height = height
        context.raw.pointee.pix_fmt = AV_PIX_FMT_RGB24
        context.raw.pointee.time_base = AVRational(num: 1, den: 1)
        try context.open(codec) { ImageError.notEncoded($0) }
        return try context.encode(StillFrame.holding(image))
    }
}
