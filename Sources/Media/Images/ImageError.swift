/// An error in a still image or in the settings that preprocess images.
public struct ImageError: Error, CustomStringConvertible, Equatable, Sendable {
    /// Stable identifiers for programs; the message is for people.
    public enum Code: String, Sendable {
        /// A preprocessor_config.json that is invalid, or asks for what is not supported.
        case badConfig = "bad_preprocessor_config"
        /// More bytes or pixels than the limit, or than there is memory for.
        case tooLarge = "picture_too_large"
        /// No bytes or no pixels.
        case empty = "picture_empty"
        /// A format that is not supported.
        case unsupported = "picture_unsupported"
        /// The image is damaged.
        case unreadable = "picture_unreadable"
        /// The image cannot be written.
        case notEncoded = "picture_not_encoded"
    }

    /// The stable identifier for programs.
    public let code: Code
    /// The text for people.
    public let message: String
    /// The error that caused this one; nil if there is none.
    public let underlying: (any Error)?

    /// The message.
    public var description: String { message }

    init(_ code: Code, _ message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    /// Compares code and message.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code && a.message == b.message }
}

// All error texts of this folder.
extension ImageError {
    static let noBytes = ImageError(.empty, "The image has no bytes. Check that the file was written completely.")
    static let noPixels = ImageError(.empty, "The image has no pixels: its width or height is 0.")
    static let notAImage = ImageError(
        .unsupported, "The file is not a PNG, JPEG or WebP image. Convert it to one of them first.")

    static func config(_ fault: String, underlying: (any Error)? = nil) -> ImageError {
        ImageError(
            .badConfig,
            "preprocessor_config.json: \(fault). Take the file from the model's publisher, or correct it.",
            underlying: underlying)
    }
    static func tooManyBytes(_ count: Int, limit: Int) -> ImageError {
        ImageError(
            .tooLarge, "The image file has \(count) bytes; at most \(limit) are read. Make it smaller first.")
    }
    static func tooManyPixels(width: Int, height: Int, limit: Int) -> ImageError {
        ImageError(
            .tooLarge, "The image has \(width) x \(height) pixels; at most \(limit) are read. Make it smaller first.")
    }
    static func damaged(_ format: String, _ reason: String) -> ImageError {
        ImageError(.unreadable, "The \(format) image cannot be decoded: \(reason). Write or fetch the file again.")
    }
    static func unsupportedPixels(_ format: String, _ layout: String) -> ImageError {
        ImageError(
            .unsupported,
            "The \(format) image stores its pixels as \(layout), which is not supported. Save it as an 8-bit RGB "
                + "image.")
    }
    static func noLibrary(_ missing: String) -> ImageError {
        ImageError(
            .unsupported,
            "Images need FFmpeg's libraries, which cannot be loaded (\(missing)). Install them (apt-get install "
                + "ffmpeg)."
        )
    }
    static func noCodec(_ format: String) -> ImageError {
        ImageError(
            .unsupported, "FFmpeg's library has no \(format) codec. Install a complete libavcodec.")
    }
    static func outOfMemory(_ what: String) -> ImageError {
        ImageError(.tooLarge, "There is not enough memory for \(what).")
    }
    static func notEncoded(_ reason: String) -> ImageError {
        ImageError(.notEncoded, "The image cannot be written as PNG: \(reason).")
    }
}
