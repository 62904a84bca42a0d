import Foundation
import Glibc
import TestSupport

/// A recording as the ffmpeg tools decode it: every frame, in the order shown.
struct EveryFrame {
    struct Shown {
        var pts: Int64
        /// Ticks the frame says it lasts; 0 where it says nothing.
        var duration: Int64
        var width: Int, height: Int
        /// As decoded, before pixels are made square.
        var codedHeight: Int
        /// Where its pixels are in `pixels`.
        var offset = 0
        var bytes: Int { width * height * 3 }
    }

    private(set) var frames: [Shown] = []
    private(set) var tick = 0.0
    private(set) var rate = 0.0
    private(set) var packets = 0
    /// Without those an edit list takes away.
    private(set) var packetsShown = 0
    /// RGB of all frames, one after the other; none unless asked for.
    private(set) var pixels = Data()
    private var color = ""

    /// What ffprobe says of each frame of the first video stream, without their pixels.
    init(probing path: String, in directory: DecodeDirectory) throws {
        let text = try MediaTool.ffprobe(
            [
                "-select_streams", "v:0", "-count_packets", "-of", "compact", "-show_entries",
                "frame=best_effort_timestamp,pkt_duration,width,height,pix_fmt,color_space,color_range,"
                    + "sample_aspect_ratio:packet=flags:stream=time_base,avg_frame_rate,nb_read_packets", path,
            ], in: directory)
        for line in text.split(separator: "\n") {
            var fields: [Substring: String] = [:]
            for field in line.split(separator: "|") {
                let pair = field.split(separator: "=", maxSplits: 1)
                if pair.count == 2, fields[pair[0]] == nil { fields[pair[0]] = String(pair[1]) }
            }
            if line.hasPrefix("frame|") {
                try add(fields)
            } else if line.hasPrefix("packet|") {
                if fields["flags"]?.contains("D") == false { packetsShown += 1 }
            } else if line.hasPrefix("stream|") {
                tick = Self.ratio(fields["time_base"]) ?? 0
                rate = Self.ratio(fields["avg_frame_rate"]) ?? 0
                packets = Int(fields["nb_read_packets"] ?? "") ?? -1
            }
        }
        guard tick > 0, !frames.isEmpty else { throw RealTool.Failure(description: "no frames in \(path): \(text)") }
    }

    /// Also decodes all pixels, or those of frames whose number `select` names (an expression of n).
    init(
        decoding path: String, turned: [String] = [], select: String? = nil,
        keeping kept: (Int) -> Bool = { _ in true },
        in directory: DecodeDirectory
    ) throws {
        try self.init(probing: path, in: directory)
        let raw = directory.file(UUID().uuidString + ".rgb")
        defer { try? FileManager.default.removeItem(atPath: raw) }
        let sizes = Set(frames.map { [$0.width, $0.height] })
        let size = sizes.count == 1 ? "\(frames[0].width):\(frames[0].height)" : "iw:ih"
        let flags = "bicubic+accurate_rnd+full_chroma_int"
        var filters = ["scale=\(size):flags=\(flags):\(color):out_range=pc", "format=rgb24"] + turned
        if let select { filters.insert("select='\(select)'", at: 0) }
        try MediaTool.ffmpeg(
            [
                "-noautorotate", "-i", path, "-map", "0:v:0", "-autoscale", "0", "-fps_mode", "passthrough", "-vf",
                filters.joined(separator: ","), "-f", "rawvideo", "-pix_fmt", "rgb24", raw,
            ], in: directory)
        // Read whole: the file goes before the value does.
        pixels = try Data(contentsOf: URL(fileURLWithPath: raw))
        let swaps = turned.filter { $0.hasPrefix("transpose") }.count % 2 == 1
        var offset = 0
        for index in frames.indices {
            if swaps { (frames[index].width, frames[index].height) = (frames[index].height, frames[index].width) }
            guard kept(index) else { continue }
            frames[index].offset = offset
            offset += frames[index].bytes
        }
        guard offset == pixels.count else {
            throw RealTool.Failure(
                description: "\(pixels.count) bytes of \(frames.count) frames, not \(offset): \(path)")
        }
    }

    private mutating func add(_ fields: [Substring: String]) throws {
        // The last frames of AVI files with B-frames have no time: they follow the one before.
        let following = frames.last.map { $0.pts + $0.duration }
        guard let pts = fields["best_effort_timestamp"].flatMap({ Int64($0) }) ?? following,
            let width = Int(fields["width"] ?? ""),
            let height = Int(fields["height"] ?? "")
        else { throw RealTool.Failure(description: "a frame without time or size: \(fields)") }
        var shown = Shown(
            pts: pts, duration: Int64(fields["pkt_duration"] ?? "") ?? 0, width: width, height: height,
            codedHeight: height)
        if let aspect = Self.ratio(fields["sample_aspect_ratio"]), aspect > 0, aspect != 1 {
            if aspect > 1 {
                shown.width = Int((Double(width) * aspect).rounded())
            } else {
                shown.height = Int((Double(height) / aspect).rounded())
            }
        }
        frames.append(shown)
        let matrices = [
            "bt709": "bt709", "bt470bg": "bt601", "smpte170m": "bt601", "smpte240m": "smpte240m", "fcc": "fcc",
            "bt2020nc": "bt2020", "bt2020c": "bt2020",
        ]
        let matrix = matrices[fields["color_space"] ?? ""] ?? (height < 720 ? "bt601" : "bt709")
        let full = fields["color_range"] == "pc" || fields["pix_fmt"]?.hasPrefix("yuvj") == true
        color = "in_color_matrix=\(matrix):in_range=\(full ? "pc" : "tv")"
    }

    /// "30000/1001" and "4:3" as numbers.
    private static func ratio(_ text: String?) -> Double? {
        let parts = (text ?? "").split { $0 == "/" || $0 == ":" }.compactMap { Double($0) }
        return parts.count == 2 && parts[1] != 0 ? parts[0] / parts[1] : nil
    }

    /// Frame numbers by the rule: at k / fps from the first frame, the last frame whose time has come.
    ///
    /// A tick, or a millisecond where ticks are longer, forgives rounding; the last frame is shown as long as it lasts.
    /// `times`: seconds from the first frame where the stream's own times break off.
    func picked(at framesPerSecond: Double, times: [Double]? = nil) -> [Int] {
        let times = times ?? frames.map { Double($0.pts - frames[0].pts) * tick }
        let slack = min(tick, 0.001) + 1e-9
        let last = frames[frames.count - 1]
        let lasting = last.duration > 0 ? Double(last.duration) * tick : 1 / rate
        let end = times[times.count - 1] + lasting
        var picks: [Int] = []
        while Double(picks.count) / framesPerSecond < end - slack {
            let now = Double(picks.count) / framesPerSecond + slack
            picks.append(times.lastIndex { $0 <= now } ?? 0)
        }
        return picks
    }

    func rgb(_ index: Int) -> Data { pixels[frames[index].offset..<frames[index].offset + frames[index].bytes] }

    /// Bytes of a picture that differ from the frame's; all of them where the sizes do.
    func unequalBytes(_ index: Int, _ rgb: [UInt8]) -> Int {
        guard rgb.count == frames[index].bytes else { return rgb.count }
        let isEqual = pixels.withUnsafeBytes { all in
            rgb.withUnsafeBytes { own in
                guard let own = own.baseAddress, let all = all.baseAddress else { return true }
                return memcmp(own, all + frames[index].offset, rgb.count) == 0
            }
        }
        return isEqual ? 0 : zip(rgb, self.rgb(index)).count { $0 != $1 }
    }

    /// Where it shows if a neighbour were taken for the frame.
    func differsFromNext(_ index: Int) -> Bool { index + 1 >= frames.count || rgb(index) != rgb(index + 1) }
}
