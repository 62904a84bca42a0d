import ArgumentParser
import Foundation
import Longtake

struct ModelPullCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Download a model and its vision tower from a Hugging Face hub.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake model pull ICTNLP/llava-mini-llama-3.1-8b
              longtake model pull ICTNLP/llava-mini-llama-3.1-8b@main
              longtake ask day.mp4 "Who comes in?" --model ICTNLP/llava-mini-llama-3.1-8b

            Only what is needed is downloaded: weights in one format, configuration, tokenizer, the vision tower that \
            config.json names, and the base model of a LoRA adapter. Files go to the cache that other tools use too (HF_HUB_CACHE, $HF_HOME/hub or \
            ~/.cache/huggingface/hub), and every file is compared with its hash. An interrupted download continues at the next \
            run. The last line of standard output is the model's folder. HF_ENDPOINT is the hub, HF_TOKEN the access token, \
            which only the hub itself gets; https_proxy and SSL_CERT_FILE are honored.
            """))

    @Argument(help: "ORGANIZATION/NAME, or ORGANIZATION/NAME@REVISION: a branch, tag or commit; main by default.")
    var name: String

    @Flag(help: "Compare files that are in the cache already with their hashes too; download damaged ones again.")
    var verify = false

    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        StatusSignal.answer()
        let progress = output.progress(isOff: Self.hidesProgress)
        let output = output
        var download = try ModelDownload(name)
        download.verifies = verify
        var speed = TransferSpeed()
        let report = try download.run(
            check: {
                guard Interruption.cancellation.isCancelled else { return }
                throw Failure(
                    code: "interrupted",
                    message: "interrupted; what is downloaded so far is kept, and the next run continues",
                    exitCode: Exit.interrupted)
            },
            note: { text in
                progress.clear()
                output.note(text)
            },
            progress: { state in
                speed.add(state.received)
                progress.show(Self.text(state, speed))
            })
        progress.clear()
        if output.json { return Console.json(report) }
        for model in [report.visionTower, report.baseModel, report.model].compactMap(\.self) where !output.isQuiet {
            Console.line(
                "\(model.name)  \(model.commit)  \(counted(model.files, "file")), \(Format.bytes(model.bytes))")
        }
        Console.line(report.model.path)
    }

    /// True if the environment says so, as for `huggingface_hub`.
    private static var hidesProgress: Bool {
        let text = ProcessInfo.processInfo.environment["HF_HUB_DISABLE_PROGRESS_BARS"]
        return ["1", "ON", "YES", "TRUE"].contains(text?.uppercased())
    }

    private static func text(_ state: ModelDownload.Progress, _ speed: TransferSpeed) -> String {
        var text = "\(Format.bytes(state.done)) of \(Format.bytes(state.total))"
        if let rate = speed.bytesPerSecond, rate >= 1 {
            text += ", \(Format.bytes(Int64(saturating: rate)))/s"
            text += ", \(Format.time(Double(state.total - state.done) / rate)) left"
        }
        return text + "  \(state.file)"
    }
}

/// The speed of a transfer over its last ten seconds.
struct TransferSpeed {
    private var samples: [(time: ContinuousClock.Instant, bytes: Int64)] = []

    /// - Parameter bytes: all bytes received so far.
    mutating func add(_ bytes: Int64) {
        let now = ContinuousClock.now
        guard samples.last.map({ now - $0.time >= .milliseconds(250) }) ?? true else { return }
        samples.append((now, bytes))
        samples.removeAll { now - $0.time > .seconds(10) }
    }

    /// nil before there is enough to measure.
    var bytesPerSecond: Double? {
        guard let first = samples.first, let last = samples.last, last.time > first.time else { return nil }
        return Double(last.bytes - first.bytes) / Format.seconds(last.time - first.time)
    }
}
