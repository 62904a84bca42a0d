/// Longtake answers questions about recordings that last hours.
///
/// This target is the library's interface: the only place where decoding, models and the store meet. It takes paths and
/// text, and returns values that can be printed.
///
/// # Terms
/// - **Recording**: one video stream of one file, identified by its content, not its path (`Recording`).
/// - **Frame**: the image displayed at grid time t = 0, 1, 2 … s, with its true presentation time (`Frame`).
/// - **Patches**: the vision tower's features of a frame, [R, D]: 576 × 1024 at full size.
/// - **Vision token**: the frame's compressed token after pre-fusion, [C2, H]; it does not depend on the question.
/// - **Frame record**: what is stored of a frame: vision token and patches (`RecordKind`).
/// - **Index**: all frame records of a recording under one model and one sampling, in segments, with a manifest.
/// - **Fusion frames**: the frames whose patches a question's text is fused with (`FusionPlan`).
/// - **Catalog**: the SQLite database of recordings and indexes; it can be rebuilt from the manifests.
/// - **Pipeline**: a YAML file that says what to index, what to ask and where answers go (`PipelineFile`).
///
/// # Data flow
/// 1. A file is decoded into frames in a process without rights: Media/Client (`RecordingFile`, `FrameStream`),
///    Media/Worker (`DecodeSession`: the sampling rule), Media/FFmpeg (FFmpeg's structs, one owner each), Media/Images
///    (preprocessing).
/// 2. Frames become patches and a vision token: Models/CLIP, `Compressor` and `PreFusion`, combined in `LlavaMini`;
///    matrix products and kernels are in Tensors and CKernels.
/// 3. Tokens and patches become frame records, and these an index: Frames/ (`FrameEncoder`), Index/ (`Indexer`), Store.
/// 4. A question becomes a prompt, is fused with frames and answered: Ask/ (`Asker`), Tokenizers, Models/Llama.
/// 5. `Analyzer` does steps 1 to 4 for one recording, `BatchIndexer` and `PipelineRunner` for many.
public enum Longtake {
    /// Version of the library and of the program.
    public static let version = "0.1.0"
}
