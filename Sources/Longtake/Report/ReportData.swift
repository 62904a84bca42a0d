internal import Foundation

/// Everything a report shows: the JSON embedded in its page.
///
/// Made from the catalog and the indexes alone, so that the same state gives the same bytes.
package struct ReportData: Sendable, Encodable {
    /// What a report is about.
    package enum Kind: String, Sendable, Encodable { case run, recording }

    /// Version of this JSON.
    package let version = 1
    /// What it is about.
    package let kind: Kind
    /// The pipeline and what is new in its run, or the recording's name.
    package let title: String
    /// The warning about all answers.
    package let caution = Answer.caution
    /// The run; of a recording, the last one that did something with it; nil if there is none.
    package var run: ReportRun?
    /// What set off alerts in the run, in the order in which it was found.
    package var alerts: [ReportAlert] = []
    /// The recordings that the run did something with, in the order of their paths.
    package var recordings: [ReportRecording] = []
    /// Recordings that are left out because the report would be too large.
    package var recordingsLeftOut = 0
    /// Files that failed in the run, and those that wait to be tried again.
    package var failures: [ReportFailure] = []
    /// Alerts and failures that are left out because the report would be too large.
    package var alertsLeftOut = 0
    package var failuresLeftOut = 0

    package init(kind: Kind, title: String) { (self.kind, self.title) = (kind, title) }

    private enum CodingKeys: String, CodingKey {
        case version, kind, title, caution, run, alerts, recordings, failures
        case recordingsLeftOut = "recordings_left_out"
        case alertsLeftOut = "alerts_left_out"
        case failuresLeftOut = "failures_left_out"
    }

    /// The JSON for a page: no text in it can end the element that holds it.
    ///
    /// - Throws: for a number that is not finite.
    package func embedded() throws -> String {
        VisibleText.escaped(json: try JSONText.line(self), others: ["<", ">", "&"])
    }
}
