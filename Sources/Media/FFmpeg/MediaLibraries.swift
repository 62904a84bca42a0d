import CFFmpeg

/// FFmpeg's libraries, which are loaded when something is decoded or encoded for the first time.
public enum MediaLibraries {
    /// The versions in use; empty where the libraries are missing.
    public static var versions: [String: String] {
        guard missing == nil else { return [:] }
        return [
            "libavformat": text(avformat_version()), "libavcodec": text(avcodec_version()),
            "libswscale": text(swscale_version()), "ffmpeg": String(cString: av_version_info()),
        ]
    }

    /// Loads them, and says what the dynamic linker misses; nil when they are there.
    public static var missing: String? { lt_ffmpeg_load().map { String(cString: $0) } }

    private static func text(_ version: UInt32) -> String {
        "\(version >> 16).\(version >> 8 & 0xFF).\(version & 0xFF)"
    }
}
