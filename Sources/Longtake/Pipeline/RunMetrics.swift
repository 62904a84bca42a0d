internal import Foundation
internal import Store

/// The result of a run as Prometheus text, for the textfile collector of node_exporter.
package enum RunMetrics {
    /// The metrics of a run.
    ///
    /// - Parameters:
    ///   - pipeline: the pipeline's identity, the only label.
    ///   - exitStatus: how the run ended.
    package static func text(_ summary: BatchSummary, pipeline: String, exitStatus: Int32, version: String) -> String {
        var text = ""
        func add(_ name: String, _ help: String, _ values: [(labels: String, value: Double)]) {
            text += "# HELP longtake_\(name) \(help)\n# TYPE longtake_\(name) gauge\n"
            for (labels, value) in values {
                let number = Int(exactly: value).map { "\($0)" } ?? "\(value)"
                text += "longtake_\(name){pipeline=\"\(escaped(pipeline))\"\(labels)} \(number)\n"
            }
        }
        let now = Date().timeIntervalSince1970.rounded()
        add("build_info", "The program that ran.", [(",version=\"\(escaped(version))\"", 1)])
        add("run_exit_status", "Exit status of the last run.", [("", Double(exitStatus))])
        add("run_end_timestamp_seconds", "When the last run ended.", [("", now)])
        if exitStatus == 0 || exitStatus == Exit.partial {
            add("last_successful_index_timestamp_seconds", "When a run last went through its recordings.", [("", now)])
        }
        add("run_duration_seconds", "Duration of the last run.", [("", summary.totalDuration)])
        if let seconds = summary.computeSeconds {
            add("run_compute_seconds", "Time of the last run in which it computed.", [("", seconds)])
        }
        if let seconds = summary.waitForFramesSeconds {
            add("run_wait_for_frames_seconds", "Time of the last run in which it waited for frames.", [("", seconds)])
        }
        add(
            "run_files", "Files of the last run by what happened to them.",
            [
                ("new", summary.filesNew), ("resumed", summary.filesResumed), ("unchanged", summary.filesUnmodified),
                ("partial", summary.filesPartial), ("skipped", summary.filesSkipped), ("failed", summary.filesFailed),
                ("paused", summary.filesPaused), ("left", summary.filesLeft),
            ].map { (",state=\"\($0.0)\"", Double($0.1)) })
        add(
            "run_answers", "Answers of the last run by what happened to them.",
            [
                ("given", summary.answers), ("unchanged", summary.answersUnchanged), ("failed", summary.answersFailed),
            ].map { (",state=\"\($0.0)\"", Double($0.1)) })
        add("run_frames", "Frames in the indexes of the last run's files.", [("", Double(summary.frames))])
        add("run_added_bytes", "Bytes that the last run added to the cache.", [("", Double(summary.bytesAdded))])
        add("run_peak_memory_bytes", "Largest resident set of the last run.", [("", Double(summary.peakMemoryBytes))])
        return text
    }

    /// Writes the metrics to a file that is always whole.
    ///
    /// - Throws: `Failure` `cannot_write`.
    package static func write(_ text: String, to path: String) throws {
        do {
            try WholeFile.write(Array(text.utf8), to: path)
        } catch {
            throw Failure.cannotWrite(path, what: "metrics", error)
        }
    }

    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
            .replacingOccurrences(of: "\n", with: "\\n")
    }
}
