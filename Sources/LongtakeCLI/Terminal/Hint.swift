import Longtake

/// The options and commands that resolve errors and notes of the library, which does not know them.
enum Hint {
    /// Names the option or command for a remedy.
    static func text(_ remedy: Remedy) -> String {
        switch remedy {
        case .timeLimit: "--max-runtime sets the limit"
        case .cacheLimit: "--cache-max sets the limit"
        case .memoryLimit: "raise it with --memory, or shorten the range with --from and --to"
        case .threads: "--threads 1"
        case .backend: "--backend openblas"
        case .model: "--model DIR"
        case .downloadModel: "`longtake model pull` downloads it"
        case .dataFolder: "--data-dir DIR"
        case .range: "--from and --to set the range, --fps the frame rate, --max-tokens the answer's length"
        case .answerLength: "--max-tokens sets the limit"
        case .diskSpace: "`longtake rm` and `longtake cache prune` make room"
        case .indexSize: "`longtake rm`, --fps, --keep tokens, --cache-dir, --cache-max, --max-duration"
        case .gridSampling: "--sampling grid"
        case .stillImage: "`longtake ask --image`"
        case .overwrite: "--overwrite removes them"
        case .index: "run `longtake index`"
        case .repair: "`longtake index --force` indexes again, `longtake cache repair` removes damaged parts"
        case .keepPatches: "`longtake index --force --keep patches`"
        case .prune: "`longtake cache prune` removes it"
        case .list: "`longtake ls` lists the recordings"
        case .checkTensors: "run `longtake model inspect --check-tensors`"
        case .retryFailed: "--retry-failed tries it now"
        case .waitForLock: "--wait-lock waits for it"
        case .writeAnswers: "`longtake ask --json` and `longtake run` write them"
        case .replaceUnit: "--force replaces it, --name gives this job another name"
        case .clock:
            "`longtake index FILE` with --starts-at TIME, --clock PATTERN or --camera NAME; nothing is decoded again"
        }
    }

    /// The option for a note of the decoder; nil if there is none.
    ///
    /// - Parameter note: "code: text".
    static func note(_ note: String) -> String? {
        switch note.split(separator: ":").first {
        case "several_video_streams": "--stream chooses another one"
        case "max_duration": "--max-duration raises it"
        case "max_frames": "--max-frames raises it"
        case "stream_ended" where note.contains("; grid sampling"): "--sampling grid"
        case "stream_ended" where note.contains("; choose stream"): "--stream"
        default: nil
        }
    }

    /// The note and its hint.
    static func hinted(_ note: String) -> String { Self.note(note).map { "\(note) (\($0))" } ?? note }
}

extension Failure {
    /// The failure with the option or command for its remedy in its message.
    var withHint: Failure {
        guard let remedy else { return self }
        var hinted = Failure(code: code, message: "\(message) (\(Hint.text(remedy)))", exitCode: exitCode)
        hinted.kept = kept
        return hinted
    }
}
