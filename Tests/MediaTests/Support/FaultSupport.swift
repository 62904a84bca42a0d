import Foundation
import Glibc
import Testing

import Media

/// A directory of its own for the files of one test; it vanishes with the value.
final class FaultDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array((NSTemporaryDirectory() + "longtake-faults-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw FaultProblem("no temporary directory") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    func write(_ name: String, _ text: String) throws -> String { try write(name, Array(text.utf8)) }

    func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: file(name)))) }

    /// Runs ffmpeg; the last argument is the name of the file to write here, which is answered with its directory.
    @discardableResult
    func ffmpeg(_ arguments: String...) throws -> String {
        let name = arguments[arguments.count - 1]
        let words = ["60", "ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-y", "-threads", "1"]
        let status = try runTool("timeout", words + arguments.dropLast() + [file(name)])
        guard status == 0 else {
            throw FaultProblem("ffmpeg ended with \(status) for \(arguments.joined(separator: " "))")
        }
        return file(name)
    }

    /// 64×48 H.264 whose picture n is gray of luma 16 + 2n, so that `Shown.ordinal` tells which one it is.
    @discardableResult
    func ramp(_ name: String, seconds: Int = 10, rate: Int = 10, _ options: String...) throws -> String {
        let source = "color=black:s=64x48:r=\(rate):d=\(seconds),format=yuv420p,geq=lum=16+2*N:cb=128:cr=128"
        let arguments =
            ["-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-qp", "10", "-g", "5"]
            + options + [file(name)]
        let status = try runTool(
            "timeout", ["60", "ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-y", "-threads", "1"] + arguments)
        guard status == 0 else { throw FaultProblem("ffmpeg ended with \(status) for \(name)") }
        return file(name)
    }
}

struct FaultProblem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Runs a program of $PATH and answers its exit status; 128 + signal where one ended it.
func runTool(_ program: String, _ arguments: [String]) throws -> Int32 {
    var argv: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
    defer { argv.forEach { free($0) } }
    var child: pid_t = 0
    let failure = posix_spawnp(&child, program, nil, nil, &argv, environ)
    guard failure == 0 else { throw FaultProblem("\(program) does not start: \(String(cString: strerror(failure)))") }
    var code: Int32 = 0
    while waitpid(child, &code, 0) < 0, errno == EINTR {}
    return code & 0x7F == 0 ? code >> 8 & 0xFF : 128 + (code & 0x7F)
}

/// What a test wants to know of a frame.
struct Shown: Equatable {
    var index: Int
    var gridTime: Double
    var ptsSeconds: Double
    var width: Int
    var height: Int
    var rgb: [UInt8]

    var mean: Double { Double(rgb.reduce(0) { $0 + Int($1) }) / Double(max(rgb.count, 1)) }
    /// Which picture of `ramp` this is: limited range luma 16 + 2n shows as gray of 2n · 255 / 219.
    var ordinal: Int { Int((mean * 219 / 255 / 2).rounded()) }

    func pixel(_ x: Int, _ y: Int) -> [UInt8] { Array(rgb[((y * width + x) * 3)..<((y * width + x) * 3 + 3)]) }

    /// The color near (x, y) by its strongest channels.
    func color(_ x: Int, _ y: Int) -> String {
        let value = pixel(x, y)
        let bright = value.map { $0 > 110 }
        switch (bright[0], bright[1], bright[2]) {
        case (true, false, false): return "red"
        case (false, true, false): return "green"
        case (false, false, true): return "blue"
        case (true, true, true): return "white"
        case (false, false, false): return "black"
        default: return "mixed \(value)"
        }
    }

    /// The colors of the four corners: top left, top right, bottom left, bottom right.
    var corners: [String] {
        let (x, y) = (width / 8, height / 8)
        return [
            color(x, y), color(width - 1 - x, y), color(x, height - 1 - y), color(width - 1 - x, height - 1 - y),
        ]
    }
}

/// All of a decode: frames, result, or the refusal.
struct Outcome {
    var frames: [Shown] = []
    var result = DecodeResult()
    var error: MediaError?

    var notes: [String] { result.notes.map(\.code) }
    var ordinals: [Int] { frames.map(\.ordinal) }
}

/// A request for pictures as they are, bounded as a test must be.
func nativeRequest(_ change: (inout FrameRequest) -> Void = { _ in }) -> FrameRequest {
    var request = FrameRequest(output: .native)
    request.watchdog = 300
    request.memoryLimit = 2 << 30
    change(&request)
    return request
}

/// Decodes a file to its end through the API; anything thrown but a `MediaError` is thrown on.
func decode(_ path: String, keep: Int = 2000, _ change: (inout FrameRequest) -> Void = { _ in }) throws -> Outcome {
    var outcome = Outcome()
    let request = nativeRequest(change)
    do {
        let stream = try FrameStream(try RecordingFile(path: path), request: request)
        defer { outcome.result = stream.result }
        var frame = Frame()
        while try stream.next(into: &frame) {
            if outcome.frames.count >= keep { continue }
            outcome.frames.append(
                Shown(
                    index: frame.index, gridTime: frame.gridTime, ptsSeconds: frame.ptsSeconds, width: frame.width,
                    height: frame.height, rgb: frame.rgb))
        }
        outcome.result = stream.result
    } catch let error as MediaError {
        outcome.error = error
    }
    return outcome
}

/// Why opening or decoding a file is refused; nil when it is not.
func refusal(_ path: String, _ change: (inout FrameRequest) -> Void = { _ in }) throws -> MediaError.Code? {
    try decode(path, change).error?.code
}

/// Changing bytes where a file has them.
extension [UInt8] {
    func positions(of needle: [UInt8]) -> [Int] {
        guard count >= needle.count, let first = needle.first else { return [] }
        var found: [Int] = []
        for start in 0...(count - needle.count) where self[start] == first {
            if self[start..<(start + needle.count)].elementsEqual(needle) { found.append(start) }
        }
        return found
    }

    func positions(of text: String) -> [Int] { positions(of: [UInt8](text.utf8)) }

    mutating func put(_ bytes: [UInt8], at offset: Int) {
        replaceSubrange(offset..<(offset + bytes.count), with: bytes)
    }
}

/// Big endian.
func bytes32(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }
func bytes64(_ value: UInt64) -> [UInt8] {
    bytes32(UInt32(truncatingIfNeeded: value >> 32)) + bytes32(UInt32(truncatingIfNeeded: value))
}

/// An MP4 whose samples are in the file called `name`: the entry of its dref box replaced by an alias record.
func withExternalMedia(_ bytes: [UInt8], name: String) -> [UInt8] {
    let text = Array(name.utf8) + (name.utf8.count % 2 == 0 ? [] : [0])
    let length = [UInt8(name.utf8.count >> 8), UInt8(name.utf8.count & 0xFF)]
    func filled(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
    // Flags, 10 bytes, volume and file name (a length, then 27 and 63 bytes), levels, then typed strings: 2 and 18 are paths.
    let body = filled(14) + [4] + Array("disk".utf8) + filled(23) + filled(12) + [5] + Array("a.mp4".utf8) + filled(58)
    let paths =
        filled(16) + [0, 1, 0, 1] + filled(16) + [0, 2] + length + text + [0, 18] + length + text + [0xFF, 0xFF, 0, 0]
    let entry = bytes32(UInt32(8 + body.count + paths.count)) + Array("alis".utf8) + body + paths
    return withDataReference(bytes, entry)
}

/// An MP4 whose data references are `entry`, a whole box with its header.
func withDataReference(_ bytes: [UInt8], _ entry: [UInt8]) -> [UInt8] {
    let parents = ["moov", "trak", "mdia", "minf", "dinf"].map { Array($0.utf8) }
    func rewritten(_ boxes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var offset = 0
        while offset + 8 <= boxes.count {
            let size = boxes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) }
            guard size >= 8, offset + size <= boxes.count else { break }
            let type = Array(boxes[(offset + 4)..<(offset + 8)])
            var content = Array(boxes[(offset + 8)..<(offset + size)])
            if parents.contains(type) { content = rewritten(content) }
            if type == Array("dref".utf8) { content = Array(content.prefix(8)) + entry }
            out += bytes32(UInt32(8 + content.count)) + type + content
            offset += size
        }
        return out
    }
    return rewritten(bytes)
}
