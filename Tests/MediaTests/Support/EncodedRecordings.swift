extension EncodedRecording {
    private static let film = Source(rate: "24000/1001", seconds: 5)
    private static let ntsc = Source(rate: "30000/1001")
    private static let fast = Source(rate: "60", seconds: 3)
    private static let short = Source(seconds: 0.4)
    private static let odd = Source(size: "321x241", seconds: 3)
    /// Times as of a screen recorder: frames missing here and there, once for more than a second.
    private static let variable = Source(
        rate: "50", seconds: 6, filters: "select='not(between(n,60,125))*gt(random(7),0.6)+eq(n,0)'")
    private static let anyTimes = Source(
        rate: "30", seconds: 4, filters: "settb=1/90000,setpts='floor(N*(3000+N*20)+900*random(3))'")

    private static let x264 = "-c:v libx264 -preset superfast -bf 3 -pix_fmt yuv420p"
    private static let x264Open = x264 + " -g 24 -x264-params open-gop=1:b-adapt=0:b-pyramid=normal:scenecut=0"
    private static let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1"
    private static let vp9 = "-c:v libvpx-vp9 -deadline good -cpu-used 8 -b:v 300k -g 50"
    private static let svt = "-c:v libsvtav1 -preset 12 -crf 40 -g 50"
    private static let aom = "-c:v libaom-av1 -cpu-used 8 -usage realtime -crf 40 -g 50 -b:v 0"

    static let h264: [EncodedRecording] = [
        .init("H.264 with B-frames, mp4, 25", "mp4", Source(), x264),
        .init("H.264 open GOPs, mkv, 23.976", "mkv", film, x264Open),
        .init("H.264 open GOPs, ts, 29.97", "ts", ntsc, x264Open),
        .init("H.264 with B-frames, mov, 60", "mov", fast, x264),
        .init("H.264 with B-frames, avi, 25", "avi", Source(), x264),
        .init("H.264 without B-frames, avi, 29.97", "avi", ntsc, x264 + " -bf 0"),
        .init("H.264 4:2:2 10-bit, mkv", "mkv", Source(), x264 + " -pix_fmt yuv422p10le"),
        .init("H.264 4:4:4 of odd size, mp4", "mp4", odd, x264 + " -pix_fmt yuv444p"),
        .init("H.264 full range, mp4", "mp4", Source(), x264 + " -pix_fmt yuvj420p"),
        .init("H.264 RGB, mkv", "mkv", Source(seconds: 2), "-c:v libx264rgb -preset ultrafast -bf 2"),
        .init("H.264 gray, mp4", "mp4", Source(seconds: 2), x264 + " -pix_fmt gray"),
        .init(
            "H.264 tagged BT.709, mp4", "mp4", Source(seconds: 2),
            x264 + " -colorspace bt709 -color_primaries bt709 -color_trc bt709"),
        .init("H.264 of 720 lines without a tag, mp4", "mp4", Source(size: "1280x720", seconds: 1.2), x264),
        .init(
            "H.264 interlaced, ts", "ts", Source(filters: "interlace"), x264 + " -flags +ildct+ilme -top 1",
            notes: ["interlaced"]),
        .init("H.264 of variable rate, mp4", "mp4", variable, x264 + " -fps_mode vfr"),
        .init("H.264 of variable rate, mkv", "mkv", anyTimes, x264 + " -fps_mode passthrough"),
        .init("H.264 of 0.4 s, mp4", "mp4", short, x264),
        .init("H.264 of 0.4 s, ts", "ts", short, x264),
        .init("H.264 of one frame, mp4", "mp4", Source(seconds: 0.04), x264),
        .init(
            "H.264 standing still for 25 s, mkv", "mkv",
            Source(seconds: 3, filters: "setpts='PTS+gt(N,50)*25/TB'"), x264 + " -fps_mode vfr"),
        .init("H.264 fragmented, mp4", "mp4", ntsc, x264 + " -g 25 -movflags frag_keyframe+empty_moov"),
        .init("H.264 starting late, mkv", "mkv", film, x264 + " -output_ts_offset 73.25"),
        .init("H.264 starting late, ts", "ts", Source(), x264 + " -output_ts_offset 7000.125"),
        .init("H.264 across the 33-bit wrap, ts", "ts", Source(), x264 + " -output_ts_offset 95440.1"),
        .init(
            "H.264 cut into by an edit list, mp4", "mp4", Source(seconds: 6), x264 + " -g 50",
            remux: ("-ss 1.3", "")),
        .init(
            "H.264 open GOPs cut into, ts", "ts", Source(seconds: 6), x264Open, remux: ("-ss 2.3", "")),
    ]

    static let others: [EncodedRecording] = [
        .init("HEVC 10-bit, mkv, 23.976", "mkv", film, x265 + " -pix_fmt yuv420p10le"),
        .init(
            "HEVC open GOPs, mp4, 60", "mp4", fast,
            "-c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1:open-gop=1:keyint=30:bframes=4:b-adapt=0"
        ),
        .init("HEVC, ts, 29.97", "ts", ntsc, x265 + " -pix_fmt yuv420p"),
        .init(
            "HEVC 10-bit HLG BT.2020, mp4", "mp4", Source(seconds: 2),
            x265 + " -pix_fmt yuv420p10le -colorspace bt2020nc -color_primaries bt2020 -color_trc arib-std-b67",
            notes: ["hdr_not_tonemapped"]),
        .init(
            "VP9 with hidden frames, webm, 29.97", "webm", ntsc,
            vp9 + " -auto-alt-ref 1 -lag-in-frames 16 -pix_fmt yuv420p"),
        .init("VP9 of odd size, mp4, 60", "mp4", Source(size: "321x241", rate: "60", seconds: 2), vp9),
        .init("VP9 of variable rate, webm", "webm", variable, vp9 + " -pix_fmt yuv420p -fps_mode vfr"),
        .init("VP8, webm, 25", "webm", Source(), "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 300k"),
        .init("AV1 of SVT, webm, 25", "webm", Source(), svt + " -pix_fmt yuv420p"),
        .init("AV1 10-bit of SVT, mp4, 60", "mp4", fast, svt + " -pix_fmt yuv420p10le"),
        .init("AV1 of libaom, mkv, 23.976", "mkv", Source(rate: "24000/1001", seconds: 3), aom + " -pix_fmt yuv420p"),
        .init("MPEG-4, avi, 25", "avi", Source(), "-c:v mpeg4 -q:v 4"),
        .init("MPEG-4 with B-frames, mp4, 23.976", "mp4", film, "-c:v mpeg4 -q:v 4 -bf 2"),
        .init("MPEG-4 with packed B-frames, avi, 25", "avi", Source(), "-c:v libxvid -q:v 4 -bf 2"),
        .init(
            "MPEG-4 of odd size, mov, 60", "mov", Source(size: "321x241", rate: "60", seconds: 2), "-c:v mpeg4 -q:v 4"),
        .init("MPEG-2, ts, 29.97", "ts", ntsc, "-c:v mpeg2video -q:v 4 -bf 2 -g 15"),
        .init(
            "MPEG-2 interlaced, ts, 25", "ts", Source(size: "352x288", filters: "interlace"),
            "-c:v mpeg2video -q:v 4 -bf 2 -flags +ildct+ilme -top 1", notes: ["interlaced"]),
        .init("MPEG-2, program stream, 25", "mpg", Source(), "-c:v mpeg2video -q:v 4 -bf 2 -f vob"),
        .init("MPEG-2 4:2:2, mkv", "mkv", Source(seconds: 2), "-c:v mpeg2video -q:v 4 -pix_fmt yuv422p"),
        .init("MJPEG of one frame, avi", "avi", Source(seconds: 0.04), "-c:v mjpeg -q:v 3"),
        .init("VP9 of 0.4 s, webm", "webm", short, vp9 + " -pix_fmt yuv420p"),
        .init("MJPEG, avi, 25", "avi", Source(), "-c:v mjpeg -q:v 3 -pix_fmt yuvj420p"),
        .init(
            "MJPEG 4:2:2 of odd size, mov, 29.97", "mov", Source(size: "321x241", rate: "30000/1001", seconds: 3),
            "-c:v mjpeg -q:v 3 -pix_fmt yuvj422p"),
        .init("MJPEG 4:4:4, mkv, 60", "mkv", fast, "-c:v mjpeg -q:v 3 -pix_fmt yuvj444p"),
        .init("ProRes, mov, 25", "mov", Source(seconds: 2), "-c:v prores_ks -profile:v 2"),
        .init(
            "ProRes 4444 with alpha, mov", "mov", Source(seconds: 1.2),
            "-c:v prores_ks -profile:v 4 -pix_fmt yuva444p10le", notes: ["alpha"]),
        .init("FFV1 of odd size, mkv", "mkv", odd, "-c:v ffv1 -pix_fmt yuv420p"),
        .init("Theora, ogg, 25", "ogv", Source(), "-c:v libtheora -q:v 5"),
    ]
}
