extension Demuxer {
    /// Selects the video stream as requested and discards all others.
    ///
    /// - Parameter reader: reader of the file, which is read again if its headers do not say which streams have several
    ///   frames.
    func selectVideo(
        _ request: FrameRequest, reader: FileReader, output: WorkerOutput, notes: inout DecodeResult
    ) throws -> Int {
        try selectVideo(request.stream, maxPixels: request.maxPixels, notes: &notes) {
            let other = reader.another()
            var heartbeat = Heartbeat(output)
            return try VideoChoice.count($0, reader: other, maxPixels: request.maxPixels) {
                try heartbeat.send(highWater: other.highWater)
            }
        }
    }
}
