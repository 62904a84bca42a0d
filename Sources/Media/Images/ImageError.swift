/// An error in a still image or in the settings that preprocess images.
public struct ImageError: Error, CustomStringConvertible, Equatable, Sendable {
    /// Stable identifiers for programs; the message is for people.
    public enum Code: String, Sendable {
        case badConfig = "bad_preprocessor_config"
        case tooLarge = "picture_too_large"
        case empty = "picture_empty"
        case unsupported = "picture_unsupported"
        case unreadable = "picture_unreadable"
        case notEncoded = "picture_not_encoded"
    }

    /// The stable identifier for programs.
    public let code: Code
    /// The text for people.
    public let message: String

    public var description: String { message }

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

// All error texts of this folder.
extension ImageError {
    static let noBytes = ImageError(.empty, "The picture has no bytes. Check that the file was written completely.")
    static let noPixels = ImageError(.empty, "The picture has no pixels: its width or height is 0.")
    static let notAImage = ImageError(
        .unsupported, "The file is not a PNG, JPEG or WebP picture. Convert it to one of them first.")

    static func config(_ fault: String) -> ImageError {
        ImageError(
            .badConfig,
            "preprocessor_config.json: \(fault). Take the file from the model's publisher, or correct it.")
    }
    static func tooManyBytes(_ count: Int, limit: Int) -> ImageError {
        ImageError(
            .tooLarge, "The picture file has \(count) bytes; at most \(limit) are read. Make it smaller first.")
    }
    static func tooManyPixels(width: Int, height: Int, limit: Int) -> ImageError {
        ImageError(
            .tooLarge, "The picture has \(width) x \(height) pixels; at most \(limit) are read. Make it smaller first.")
    }
    static func damaged(_ format: String, _ reason: String) -> ImageError {
        ImageError(.unreadable, "The \(format) picture cannot be decoded: \(reason). Write or fetch the file again.")
    }
    static func unsupportedPixels(_ format: String, _ layout: String) -> ImageError {
        ImageError(
            .unsupported,
            "The \(format) picture stores its pixels as \(layout), which is not supported. "
                + "Save it as an 8-bit RGB picture.")
    }
    static func noLibrary(_ missing: String) -> ImageError {
        ImageError(
            .unsupported,
            "Images need FFmpeg's libraries, which cannot be loaded (\(missing)). Install them (apt-get install ffmpeg)."
        )
    }
    static func noCodec(_ format: String) -> ImageError {
        ImageError(
            .unsupported, "This computer's FFmpeg library has no \(format) codec. Install a complete libavcodec.")
    }
    static func outOfMemory(_ what: String) -> ImageError {
        ImageError(.tooLarge, "There is not enough memory for \(what).")
    }
    static func notEncoded(_ reason: String) -> ImageError {
        ImageError(.notEncoded, "The picture cannot be written as PNG: \(reason).")
    }
}
