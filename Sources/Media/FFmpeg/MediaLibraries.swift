import CFFmpeg

/// FFmpeg's libraries, loaded when something is decoded or encoded for the first time.
public enum MediaLibraries {
    /// The versions in use, by library name; empty if the libraries are missing.
    public static var versions: [String: String] {
        guard missing == nil else { return [:] }
        return [
            "libavformat": text(avformat_version()), "libavcodec": text(avcodec_version()),
            "libswscale": text(swscale_version()), "ffmpeg": String(cString: av_version_info()),
        ]
    }

    /// Loads the libraries and returns the dynamic linker's error message; nil if they are all there.
    public static var missing: String? { lt_ffmpeg_load().map { String(cString: $0) } }

    private static func text(_ version: UInt32) -> String {
        "\(version >> 16).\(version >> 8 & 0xFF).\(version & 0xFF)"
    }
}
