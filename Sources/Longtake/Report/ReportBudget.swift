/// Keeps a report below 5 MB, whatever its run did: what is left out is counted.
package enum ReportBudget {
    /// Bytes of a whole page.
    package static let bytes = 4_600_000
    /// Bytes of a page's images.
    static let pictureBytes = 3_000_000
    /// About how many bytes of a page are answers.
    private static let answerBytes = 2_200_000
    private static let mostRecordings = 200
    /// Most lanes of one recording, of a whole report, and of each recording in any case.
    private static let mostLanes = (one: 40, all: 800, least: 3)
    /// Most blocks of windows that are drawn in one lane, and about how many in a whole report.
    private static let mostBlocks = (one: 400, all: 5000, least: 6)
    /// Most alerts, and most failures.
    private static let mostItems = 300

    /// Leaves out what is beyond the limits: recordings from the end, lanes from the end, then the last answers of the
    /// lanes that have most.
    package static func fit(_ data: inout ReportData) {
        if data.recordings.count > mostRecordings {
            data.recordingsLeftOut += data.recordings.count - mostRecordings
            data.recordings.removeLast(data.recordings.count - mostRecordings)
        }
        let share = mostLanes.all / max(data.recordings.count, 1)
        let lanes = min(max(share, mostLanes.least), mostLanes.one)
        for index in data.recordings.indices where data.recordings[index].lanes.count > lanes {
            data.recordings[index].lanesLeftOut = data.recordings[index].lanes.count - lanes
            data.recordings[index].lanes.removeLast(data.recordings[index].lanesLeftOut)
        }
        let ofWindows = data.recordings.flatMap(\.lanes).count { $0.kind == .windows }
        let blocks = min(max(mostBlocks.all / max(ofWindows, 1), mostBlocks.least), mostBlocks.one)
        for index in data.recordings.indices {
            for lane in data.recordings[index].lanes.indices {
                data.recordings[index].lanes[lane].mostBlocks = blocks
            }
        }
        data.alertsLeftOut += max(data.alerts.count - mostItems, 0)
        data.alerts = Array(data.alerts.prefix(mostItems))
        data.failuresLeftOut += max(data.failures.count - mostItems, 0)
        data.failures = Array(data.failures.prefix(mostItems))
        // The running cost of each lane's answers, in one list per lane.
        let sums = data.recordings.flatMap(\.lanes).map { lane in
            lane.answers.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.cost) }
        }
        func cost(_ count: Int) -> Int { sums.reduce(0) { $0 + $1[min(count, $1.count - 1)] } }
        var (fitting, tooMany) = (1, (sums.map(\.count).max() ?? 1) + 1)
        while tooMany - fitting > 1 {
            let middle = (fitting + tooMany) / 2
            if cost(middle) <= answerBytes { fitting = middle } else { tooMany = middle }
        }
        for index in data.recordings.indices {
            for lane in data.recordings[index].lanes.indices { data.recordings[index].lanes[lane].keep(fitting) }
        }
        // With one answer per lane it may still be too much: long answers about many recordings.
        var left = answerBytes
        let fits = data.recordings.prefix { recording in
            left -= recording.lanes.flatMap(\.answers).reduce(0) { $0 + $1.cost }
            return left >= 0
        }
        let rest = data.recordings.count - max(fits.count, 1)
        if rest > 0 {
            data.recordingsLeftOut += rest
            data.recordings.removeLast(rest)
        }
    }
}
