internal import Checkpoints
internal import Media
internal import Models
package import Store
internal import Tensors

extension Asker {
    /// The frames of an index in [from, to) on the file's timeline.
    ///
    /// - Throws: `LongtakeError` `bad_request` for an index of another model or with an unknown record kind.
    package func frames(
        of reader: IndexReader, from: Double? = nil, to: Double? = nil
    ) throws -> FrameSource {
        let manifest = reader.manifest
        let kind = RecordKind(rawValue: manifest.key.record.split(separator: ":").first.map(String.init) ?? "")
        guard let kind else {
            throw LongtakeError(
                code: .badRequest,
                message: "the index has records of kind \(manifest.key.record), which this version does not know")
        }
        guard manifest.key.model == loaded.hash else {
            throw LongtakeError(
                code: .badRequest,
                message: "the index was made with another model, \(manifest.modelName); index again with this one")
        }
        let codec = RecordCodec(kind: kind, model: loaded.llava)
        let buffers = RecordBuffers(codec: codec, layout: try codec.layout(), compute: loaded.compute)
        let (from, to) = (from ?? -.infinity, to ?? .infinity)
        // Grid times ascend, so the frames of a range are consecutive.
        let clock = manifest.clock
        let inside = reader.entries.indices.filter {
            let time = clock.fileTime(reader.entries[$0].gridTime)
            return time >= from && time < to
        }
        let frames = (inside.first ?? 0)..<(inside.last.map { $0 + 1 } ?? 0)
        func indicesInRange(_ wanted: [Int]) -> [Int] {
            let first = frames.first ?? 0
            return wanted.filter { frames.contains($0) }.map { $0 - first }
        }
        let (first, last) = (clock.fileTime(0), clock.fileTime(reader.entries.last?.gridTime ?? 0))
        return FrameSource(
            recording: .init(
                id: Library.id(content: manifest.key.content), path: manifest.path, index: manifest.key.id,
                camera: manifest.origin?.camera, clock: manifest.recorded),
            times: frames.map { reader.entries[$0].gridTime },
            frameNumbers: frames.map { Int(reader.entries[$0].index) }, frameSeconds: manifest.key.frameSeconds,
            clock: clock, sample: indicesInRange(PatchSample.indices(frames: reader.entries.count)),
            readable: reader.hasAllPatches ? nil : indicesInRange(reader.patchFrames),
            indexCreated: manifest.created,
            patches: { try buffers.readPatches(reader, frame: frames.lowerBound + $0, into: $1) },
            tokens: { try buffers.readToken(reader, frame: frames.lowerBound + $0, into: $1) },
            notes: manifest.warnings,
            emptyNote: "no frames in range: the recording's frames are at \(TimeText.number(first)) to "
                + "\(TimeText.number(last)) s"
                + (clock.wall.map { ", that is \($0.text(first, last))" } ?? ""))
    }

    /// A still image as one frame, laid out as in the reference for `image_aspect_ratio` and `resolution_ratio`.
    ///
    /// - Parameter path: the image's file, for the answer.
    func frame(of image: RGBImage, path: String) throws -> FrameSource {
        let preprocessing = loaded.preprocessing
        var frame = Frame()
        let ratio = model.fusion.partCount > 1 ? model.fusion.resolutionRatio : 1
        frame.rgb = preprocessing.parts(image, ratio: ratio).flatMap { preprocessing.square($0).pixels }
        let encoder = FrameEncoder(loaded)
        let (rows, width) = (model.patchRows, model.vision.hiddenSize)
        let patches = Buffer<Float>(count: rows * width)
        let tokens = Buffer<Float>(count: model.fusion.tokensPerFrame * model.hiddenSize)
        let patchRows = MatrixView(patches.pointer, rows: rows, columns: width)
        let tokenRows = MatrixView(tokens.pointer, rows: model.fusion.tokensPerFrame, columns: model.hiddenSize)
        let compute = loaded.compute
        try encoder.encode([frame]) { _, encoded in
            compute.convert(encoded.token, into: tokenRows)
            compute.convert(encoded.patches, into: patchRows)
        }
        return FrameSource(
            recording: .init(id: "", path: path, index: nil), times: [0], frameNumbers: [0], frameSeconds: 0,
            patches: { _, out in withExtendedLifetime(patches) { compute.convert(patchRows, into: out) } },
            tokens: { _, out in withExtendedLifetime(tokens) { compute.convert(tokenRows, into: out) } })
    }
}
