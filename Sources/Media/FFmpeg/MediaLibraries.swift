import CFFmpeg

/// The versions of the media libraries in use.
public enum MediaLibraries {
    public static var versions: [String: String] {
        [
            "libavformat": text(avformat_version()), "libavcodec": text(avcodec_version()),
            "libswscale": text(swscale_version()), "ffmpeg": String(cString: av_version_info()),
        ]
    }

    private static func text(_ version: UInt32) -> String {
        "\(version >> 16).\(version >> 8 & 0xFF).\(version & 0xFF)"
    }
}
