import Foundation
import Glibc
import Longtake

/// Reports indexing progress and results, as text or as JSON lines.
final class IndexReport {
    private let output: OutputOptions
    private let progress: Progress
    private var lastStatus = ContinuousClock.now
    private var file = ""
    /// Which of the files it is, as "3/40"; nil for a single one.
    private var number: String?
    /// The path as it was typed.
    private var path = ""

    init(_ output: OutputOptions) {
        self.output = output
        progress = output.progress
    }

    /// Progress as text: "1200 of 10800 frames, 3.1 frames/s, 3.1× real time, 00:51:37 left".
    static func line(_ progress: IndexProgress) -> String {
        if let done = progress.prefixCacheDone {
            return
                "\(counted(progress.frames, "frame")) done; prefix cache: \(Int(saturating: done * 100)) %"
        }
        var line = "\(progress.frames)"
        if let total = progress.framesTotal { line += " of \(total)" }
        line += (progress.framesTotal ?? progress.frames) == 1 ? " frame, " : " frames, "
        line += "\(Format.short(progress.framesPerSecond)) frames/s"
        line += ", \(Format.short(progress.timesRealTime))× real time"
        if let left = progress.secondsLeft { line += ", \(TimeText.clock(left)) left" }
        return line
    }

    /// The file and, of several, its number and the time that all take: "[3/40, 12:30:00 left] day.mp4".
    private func label(secondsLeftOfAll: Double? = nil) -> String {
        guard let number else { return file }
        return "[\(number)\(secondsLeftOfAll.map { ", \(TimeText.clock($0)) left" } ?? "")] \(file)"
    }

    private struct Status: Encodable {
        let message_type = "status"
        let seconds_elapsed: Double
        let seconds_remaining: Double?
        let seconds_remaining_all: Double?
        let percent_done: Double?
        let frames_done: Int
        let frames_total: Int?
        let frames_per_second: Double
        let times_real_time: Double
        let derived_done: Double?
        let current_files: [String]
    }

    private struct Done: Encodable {
        let message_type = "verbose_status"
        let action: String
        let item: String
        let id: String
        let index: String
        let frames: Int
        var frames_reused: Int?
        let duration: Double
        let state: String
        let bytes: Int64
        let prefix_cache_bytes: Int64
        let warnings: [String]
        let counters: [String: Int]
        var camera: String?
        var clock: RecordedTime?
    }

    /// A value's keys after its `message_type`.
    private struct Message<Value: Encodable>: Encodable {
        let type: String
        let value: Value
        private enum Keys: String, CodingKey { case message_type }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Keys.self)
            try container.encode(type, forKey: .message_type)
            try value.encode(to: encoder)
        }
    }

    private struct Answered: Encodable {
        let message_type = "answer"
        let item: String
        let question_id: String
        let answer: String
    }

    func show(_ event: BatchEvent) {
        switch event {
        case .started(let path, let number, let count):
            self.path = path
            let name = path.split(separator: "/").last.map(String.init) ?? path
            file = name
            self.number = count > 1 ? "\(number)/\(count)" : nil
            lastStatus = .now
            StatusSignal.note("\(label()): starting")
        case .progress(let path, let step): show(step, path)
        case .indexed(let indexed): show(indexed)
        case .skipped(let path, let failure): notDone("skipped", path, failure)
        case .stopped(let path, let failure): notDone("stopped", path, failure)
        case .failed(let path, let failure): trouble(failure, "index", path)
        case .answered(let path, let id, let answer):
            progress.clear()
            if output.json {
                Console.jsonLine(Answered(item: path, question_id: id, answer: answer))
            } else if !output.isQuiet {
                Console.line(
                    "\(Console.name(path)) · \(Console.name(id)): \(Console.name(answer))")
            }
        case .answerFailed(let path, let id, let failure): trouble(failure, "ask \(id)", path)
        case .note(let text):
            progress.clear()
            output.note("note: \(Console.name(text))")
        }
    }

    /// Reports a file that was skipped or stopped and is left to the next run.
    private func notDone(_ action: String, _ path: String, _ failure: Failure) {
        progress.clear()
        let failure = failure.withHint
        if output.json {
            let kept = failure.kept
            Console.jsonLine(
                Done(
                    action: action, item: path, id: kept?.id ?? "", index: kept?.index ?? "",
                    frames: kept?.frames ?? 0, duration: 0, state: failure.code,
                    bytes: 0, prefix_cache_bytes: 0, warnings: [failure.message], counters: [:]))
        } else if failure.exitCode != Exit.interrupted {
            output.note("\(action): \(Console.name(failure.message))")
        }
    }

    private func trouble(_ failure: Failure, _ during: String, _ path: String) {
        progress.clear()
        output.failed(failure, during: during, item: path)
    }

    private func show(_ step: IndexProgress, _ path: String) {
        progress.show("\(label(secondsLeftOfAll: step.secondsLeftOfAll)): \(Self.line(step))")
        guard output.json else { return }
        guard ContinuousClock.now - lastStatus > .seconds(2) else { return }
        lastStatus = .now
        Console.jsonLine(
            Status(
                seconds_elapsed: step.seconds, seconds_remaining: step.secondsLeft,
                seconds_remaining_all: step.secondsLeftOfAll,
                percent_done: step.framesTotal.map { Double(step.frames) / Double(max($0, 1)) },
                frames_done: step.frames,
                frames_total: step.framesTotal, frames_per_second: step.framesPerSecond,
                times_real_time: step.timesRealTime, derived_done: step.prefixCacheDone, current_files: [path]))
    }

    private func show(_ indexed: IndexedRecording) {
        progress.clear()
        if output.json {
            return Console.jsonLine(
                Done(
                    action: indexed.action.rawValue, item: indexed.path, id: indexed.id, index: indexed.index,
                    frames: indexed.frames, frames_reused: indexed.framesReused,
                    duration: indexed.seconds, state: indexed.state.rawValue, bytes: indexed.bytes,
                    prefix_cache_bytes: indexed.prefixCacheBytes, warnings: indexed.notes,
                    counters: indexed.counters, camera: indexed.camera, clock: indexed.clock))
        }
        if output.isQuiet { return Console.line(indexed.id) }
        var line =
            "\(indexed.id)  \(Console.name(path.isEmpty ? indexed.path : path))  \(counted(indexed.frames, "frame"))"
        if let reused = indexed.framesReused { line += " (\(reused) reused)" }
        line += ", \(Format.bytes(indexed.bytes))"
        if indexed.prefixCacheBytes > 0 {
            line += " and \(Format.bytes(indexed.prefixCacheBytes)) prefix cache"
        }
        if indexed.action == .unchanged {
            line += ", indexed before"
        } else {
            line += " in \(Format.time(indexed.seconds))"
            if indexed.seconds > 0 {
                line += " (\(Format.short(Double(indexed.framesNow) / indexed.seconds)) frames/s)"
            }
            if indexed.framesNow < indexed.frames {
                line += ", \(indexed.frames - indexed.framesNow) from an earlier run"
            }
        }
        if indexed.isPartial { line += ", partial" }
        if let clock = indexed.clock { line += "; started \(clock.start) (\(clock.source))" }
        if let camera = indexed.camera { line += "; camera \(Console.name(camera))" }
        Console.line(line)
        let file = Console.name(path.isEmpty ? indexed.path : path)
        for note in indexed.notes { output.note("note: \(file): \(Console.name(Hint.hinted(note)))") }
    }

    /// Prints the plans.
    ///
    /// - Parameters:
    ///   - known: number of other files that are already indexed.
    ///   - left: number of other new files that were not probed.
    func show(_ plans: [IndexPlan], known: Int = 0, left: Int = 0, isResult: Bool) {
        if output.json {
            for plan in plans { Console.jsonLine(Message(type: "plan", value: plan)) }
            return
        }
        guard isResult || !output.isQuiet else { return }
        guard let any = plans.first else {
            if known > 0 { output.note("plan: 0 to index, \(known) indexed before") }
            return
        }
        let new = plans.filter { !$0.indexed }
        var rows: [[String]] = []
        if isResult {
            rows = plans.map { plan in
                [
                    Console.name(plan.path), plan.duration.map { TimeText.clock($0) } ?? "length unknown",
                    plan.frames.map { counted($0, "frame") } ?? "",
                    plan.bytes.map { Format.bytes($0 + (plan.prefixCacheBytes ?? 0)) } ?? "",
                    plan.indexed
                        ? "indexed before" : plan.estimatedSeconds.map { "at most about \(Format.time($0))" } ?? "",
                ]
            }
        }
        let frames = new.compactMap(\.frames).reduce(0, +)
        let bytes = new.compactMap(\.bytes).reduce(0, +)
        let shared = new.compactMap(\.prefixCacheBytes).reduce(0, +)
        let seconds = new.compactMap(\.estimatedSeconds).reduce(0, +)
        var line = "plan: \(new.count + left) to index"
        if known + plans.count > new.count { line += ", \(known + plans.count - new.count) indexed before" }
        line += left > 0 ? "; the first \(plans.count) of them: " : "; "
        line += "\(counted(frames, "frame")), \(Format.bytes(bytes)) "
        line += "(\(Format.bytes(Int64(any.bytesPerFrame))) per frame)"
        if let reuse = any.reuse { line += " or less: frames are reused (\(reuse))" }
        if shared > 0 { line += " and \(Format.bytes(shared)) prefix cache" }
        line += ", at most about \(Format.time(seconds)); \(Format.bytes(any.freeBytes)) free"
        if let most = plans.compactMap(\.questionMemoryBytes).max() {
            line += "; a question needs up to \(Format.bytes(most)) of memory in addition to the weights"
        }
        if isResult {
            Console.line(Format.table(rows))
            Console.line(line)
        } else {
            output.note(line)
        }
    }

    func show(_ summary: BatchSummary, isPipeline: Bool = false) {
        progress.clear()
        if output.json { return Console.jsonLine(Message(type: "summary", value: summary)) }
        if summary.stopped == "max_runtime" {
            let left = summary.filesLeft > 0 ? ", \(counted(summary.filesLeft, "file is", "files are")) left" : ""
            output.note("note: stopped at the time limit of --max-runtime\(left); the next run continues")
        }
        let files =
            summary.filesNew + summary.filesResumed + summary.filesUnmodified + summary.filesFailed
            + summary.filesSkipped + summary.filesPaused
        guard files != 1 || isPipeline || summary.answers + summary.answersUnchanged + summary.answersFailed > 0 else {
            return
        }
        output.note(Self.text(summary))
    }

    /// A run's counts and duration on one line.
    static func text(_ summary: BatchSummary) -> String {
        var parts = ["\(summary.filesNew + summary.filesResumed) indexed", "\(summary.filesUnmodified) unchanged"]
        if summary.filesPartial > 0 { parts.append("\(summary.filesPartial) partial") }
        if summary.filesSkipped > 0 { parts.append("\(summary.filesSkipped) skipped") }
        if summary.filesPaused > 0 { parts.append("\(summary.filesPaused) failed before") }
        if summary.filesFailed > 0 { parts.append("\(summary.filesFailed) failed") }
        if summary.answers > 0 { parts.append("\(summary.answers) answered") }
        if summary.answersUnchanged > 0 { parts.append("\(summary.answersUnchanged) answered before") }
        if summary.answersFailed > 0 { parts.append("\(counted(summary.answersFailed, "answer")) failed") }
        return parts.joined(separator: ", ") + "; \(Format.time(summary.totalDuration))"
    }
}
