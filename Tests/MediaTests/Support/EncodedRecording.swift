import Testing

/// A recording made by a real encoder: how, and what is expected of it.
struct EncodedRecording: CustomTestStringConvertible, Sendable {
    let name: String
    /// The end of the file's name, which chooses the container.
    let container: String
    /// Arguments of ffmpeg before the output.
    let encode: [String]
    /// A second run over the first one's file: input options, then output options.
    var remux: ([String], [String])?
    var notes: [String] = []

    var testDescription: String { name }

    init(
        _ name: String, _ container: String, _ source: Source, _ encode: String,
        remux: (String, String)? = nil, notes: [String] = []
    ) {
        self.name = name
        self.container = container
        self.encode = source.arguments + Self.split(encode)
        self.remux = remux.map { (Self.split($0.0), Self.split($0.1)) }
        self.notes = notes
    }

    private static func split(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }

    /// Moving test pictures: no two frames are alike.
    struct Source {
        var size = "320x180"
        var rate = "25"
        var seconds = 4.0
        var filters = ""

        var arguments: [String] {
            let input = ["-f", "lavfi", "-i", "testsrc2=s=\(size):r=\(rate):d=\(seconds)"]
            return filters.isEmpty ? input : input + ["-vf", filters]
        }
    }

    /// Writes the recording and returns its path.
    func make(in directory: DecodeDirectory) throws -> String {
        let path = directory.file("recording." + container)
        guard let remux else {
            try MediaTool.ffmpeg(encode + [path], in: directory)
            return path
        }
        let first = directory.file("encoded." + container)
        try MediaTool.ffmpeg(encode + [first], in: directory)
        try MediaTool.ffmpeg(remux.0 + ["-i", first, "-map", "0:v", "-c", "copy"] + remux.1 + [path], in: directory)
        return path
    }
}
