/// Longtake answers questions about recordings that last hours. This target is its face: the only place where decoding,
/// models and the store meet. Paths and text go in, values that can be printed come out.
///
/// # The nouns
/// - **Recording**: one video stream of one file, identified by its content, not its path (`RecordingFile`).
/// - **Frame**: the picture shown at grid time t = 0, 1, 2 … s, with its true presentation time (`Frame`).
/// - **Patches**: the vision tower's features of a frame, [R, D]: 576 × 1024 at full size.
/// - **Vision token**: the frame's compressed token after pre-fusion, [C2, H]; it depends on no question.
/// - **Frame record**: what is kept of a frame: vision token and patches (`RecordKind`).
/// - **Index**: all frame records of a recording under one model and one sampling, in segments, with its manifest.
/// - **Fusion frames**: the frames whose patches a question's text is fused with (`FusionPlan`).
/// - **Catalog**: the SQLite database of recordings and indexes; it can be rebuilt from the manifests.
/// - **Pipeline**: a YAML file that says what to index, what to ask and where answers go (`PipelineFile`).
///
/// # The data's way, and where to read it
/// 1. A file becomes frames in a process without rights: Media/Decode (`RecordingFile`, `FrameStream`), Media/Worker
///    (`DecodeSession`: the sampling rule), Media/FFmpeg (libav's structs, one owner each), Media/Images (preprocessing).
/// 2. Frames become patches and a vision token: Models/Vision, Models/Fusion, put together in `LlavaMini`; products and
///    kernels are in Tensors and CKernels.
/// 3. Tokens and patches become frame records, frame records an index: Index/ (`Indexer`), Store.
/// 4. A question becomes a prompt, is fused with frames and answered: Ask/ (`Asker`), Models/Tokenizer, Models/Language.
/// 5. `Analyzer` does 1 to 4 for one recording, `BatchIndexer` and `PipelineRunner` for many.
public enum Longtake {
    public static let version = "0.1.0"
}
