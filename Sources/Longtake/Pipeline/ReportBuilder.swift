internal import Foundation
internal import Store

/// Gathers what a report shows from the catalog and the indexes.
///
/// In this folder since it reads runs of pipelines and the files they failed at; `Report` does not read the catalog.
struct ReportBuilder {
    let library: Library
    let cancellation: Cancellation
    /// False: no images are read from the recordings.
    let hasPictures: Bool
    private let decoder = JSONDecoder()

    init(library: Library, hasPictures: Bool, cancellation: Cancellation) {
        (self.library, self.hasPictures, self.cancellation) = (library, hasPictures, cancellation)
    }

    /// What an answer's line in the outputs has beside the answer.
    private struct Line: Decodable {
        let key: String?
        let run: String?
        let kind: String?

        private enum CodingKeys: String, CodingKey {
            case key, kind
            case run = "run_id"
        }
    }

    /// An answer with its place in the outputs.
    private struct Given {
        var record: AnswerRecord
        let line: Line?
    }

    // MARK: A run

    func data(of run: RunRecord) throws -> ReportData {
        let files = run.files ?? []
        let new = files.count { $0.frames > 0 || $0.answers > 0 }
        let what = new == 0 ? "nothing new" : "\(counted(new, "recording")) with something new"
        var data = ReportData(kind: .run, title: "\((run.pipeline as NSString).lastPathComponent): \(what)")
        data.run = try reported(run)
        data.alerts = try alerts(of: run)
        var answers = Dictionary(
            grouping: try library.catalog.answers(pipeline: run.pipeline, run: run.id), by: \.indexID)
        let summaries = Dictionary(grouping: try library.recordings(), by: \.index)
        for file in files where file.frames > 0 || file.answers > 0 {
            let known = file.index.flatMap { summaries[$0] } ?? []
            // A recording that is at two paths was asked about once: at the first of them that has answers.
            let isAsked = file.answers > 0 || !files.contains { $0.index == file.index && $0.answers > 0 }
            let given = isAsked ? file.index.flatMap { answers.removeValue(forKey: $0) } ?? [] : []
            var recording = recording(
                known.first { $0.path == file.path } ?? known.first, path: file.path, given.compactMap(given(by:)))
            recording.work = ReportRecording.Work(
                action: file.action, frames: file.frames, answers: file.answers, seconds: file.seconds,
                error: file.error)
            data.recordings.append(recording)
        }
        // A run that was killed has answers of a recording that it did not finish.
        for (index, rows) in answers.sorted(by: { $0.key < $1.key }) {
            let given = rows.compactMap(given(by:))
            guard let path = given.first?.record.path else { continue }
            data.recordings.append(recording(summaries[index]?.first, path: path, given))
        }
        data.failures = try failures(of: run, files)
        return try finished(data)
    }

    private func reported(_ run: RunRecord) throws -> ReportRun {
        let all = try library.catalog.runs(pipeline: run.pipeline, limit: .max)
        let before = all.firstIndex { $0.id == run.id }.flatMap { all.dropFirst($0 + 1).first }
        return ReportRun(
            id: run.id, pipeline: run.pipeline, state: run.state, started: run.started, ended: run.ended,
            error: run.error, summary: run.summary,
            previous: before.map { ReportRun.Previous(id: $0.id, started: $0.started) })
    }

    private func failures(of run: RunRecord, _ files: [RunRecord.File]) throws -> [ReportFailure] {
        let waiting = Dictionary(
            try library.failedFiles(pipeline: run.pipeline).map { ($0.path, $0) },
            uniquingKeysWith: { first, _ in first })
        let new = files.compactMap { file in
            file.error.map {
                ReportFailure(
                    path: file.path, error: $0, isNew: true, tries: waiting[file.path]?.tries,
                    next: waiting[file.path]?.next)
            }
        }
        let told = Set(new.map(\.path))
        let old = waiting.values.filter { !told.contains($0.path) }.sorted { $0.path < $1.path }.map {
            ReportFailure(
                path: $0.path, error: "\($0.code): \($0.message)", isNew: false, tries: $0.tries, next: $0.next)
        }
        return new + old
    }

    private struct Payload: Decodable {
        let answer: AnswerRecord?
        let path: String?
        let message: String?
    }

    private func alerts(of run: RunRecord) throws -> [ReportAlert] {
        try library.catalog.alerts(pipeline: run.pipeline).filter { $0.run == run.id }.map { row in
            let payload = try? decoder.decode(Payload.self, from: Data(row.payload.utf8))
            return ReportAlert(
                alert: row.alert, state: row.state, tries: Int(clamping: row.tries), error: row.error,
                path: payload?.path ?? payload?.answer?.path, answer: payload?.answer, message: payload?.message)
        }
    }

    // MARK: A recording

    /// - Parameter pipeline: only the answers of this pipeline; nil: all that were given.
    func data(about summary: RecordingSummary, pipeline: String?) throws -> ReportData {
        let pipelines = try pipeline.map { [$0] } ?? Set(library.catalog.runs(limit: .max).map(\.pipeline)).sorted()
        let lines = try pipelines.flatMap { try library.catalog.answers(pipeline: $0, indexID: summary.index) }
            .compactMap(given(by:))
        let stored = pipeline == nil ? try library.answers(about: summary).map { Given(record: $0, line: nil) } : []
        var data = ReportData(kind: .recording, title: summary.name)
        var recording = recording(summary, path: summary.path, Self.latest(stored + lines))
        if let work = try library.catalog.files(ofIndex: summary.index).first(where: {
            pipelines.contains($0.pipeline)
        }) {
            recording.work = ReportRecording.Work(
                action: work.file.action, frames: Int(clamping: work.file.frames),
                answers: Int(clamping: work.file.answers), seconds: Double(work.file.milliseconds) / 1000,
                error: work.file.error)
            data.run = try reported(library.run(matching: work.file.run))
        }
        data.recordings = [recording]
        return try finished(data)
    }

    /// The latest answers to each question about the same range; a pipeline's line comes before the stored answer.
    ///
    /// By time; of the same second a pipeline's come first.
    private static func latest(_ all: [Given]) -> [Given] {
        struct Key: Hashable { let parts: [String] }
        var last: [Key: Int] = [:]
        for (index, given) in all.enumerated() {
            let record = given.record
            // Times in thousandths: a stored answer's were converted twice.
            let range = (record.segment ?? record.range ?? []).map { "\(($0 * 1000).rounded())" }
            let key = Key(parts: [record.question, record.model] + range)
            if let known = last[key], all[known].record.created > record.created { continue }
            last[key] = index
        }
        func rank(_ index: Int) -> (String, Int, Int) {
            (all[index].record.created, all[index].line == nil ? 1 : 0, index)
        }
        return last.values.sorted { rank($0) < rank($1) }.map { all[$0] }
    }

    // MARK: Both

    private func given(by row: Catalog.RunAnswerRow) -> Given? {
        let text = Data(row.line.utf8)
        guard let record = try? decoder.decode(AnswerRecord.self, from: text) else { return nil }
        return Given(record: record, line: try? decoder.decode(Line.self, from: text))
    }

    private func recording(_ summary: RecordingSummary?, path: String, _ given: [Given]) -> ReportRecording {
        // The camera and the times of day are those that are known now; the seconds stay.
        let given =
            summary.map { summary in
                given.map { Given(record: $0.record.placed(in: summary, fromFirst: false), line: $0.line) }
            } ?? given
        let lanes = lanes(given)
        return summary.map { ReportRecording($0, path: path, lanes: lanes) }
            ?? ReportRecording(
                path: path, lanes: lanes, camera: given.first?.record.camera, clock: given.first?.record.clock)
    }

    private func lanes(_ given: [Given]) -> [ReportLane] {
        var order: [String] = []
        var groups: [String: [Given]] = [:]
        for one in given {
            let id = one.record.questionID ?? one.record.question
            if groups[id] == nil { order.append(id) }
            groups[id, default: []].append(one)
        }
        return order.map { id in
            let group = groups[id] ?? []
            let isSearch = group.contains { $0.line?.kind == ReportLane.Kind.search.rawValue }
            let isWindows = !isSearch && group.contains { $0.record.segment != nil }
            return ReportLane(
                id: id, question: group.last?.record.question ?? id,
                kind: isSearch ? .search : isWindows ? .windows : .question,
                answers: group.map { ReportAnswer($0.record, key: $0.line?.key, run: $0.line?.run) })
        }
    }

    private func finished(_ data: ReportData) throws -> ReportData {
        var data = data
        ReportRecording.distinguish(&data.recordings)
        ReportBudget.fit(&data)
        guard hasPictures else { return data }
        let used = try ReportPage(data).document().utf8.count
        var pictures = ReportPictures(
            library: library, room: min(ReportBudget.bytes - used, ReportBudget.pictureBytes),
            cancellation: cancellation)
        try pictures.add(to: &data.recordings)
        return data
    }
}

extension Library {
    /// Returns what the report of a run shows.
    ///
    /// - Parameters:
    ///   - run: with its files.
    ///   - pictures: false: no images are read from the recordings.
    /// - Throws: `StoreError`; `LongtakeError` `interrupted`.
    package func report(
        of run: RunRecord, pictures: Bool = true, cancellation: Cancellation = Cancellation()
    ) throws -> ReportData {
        try ReportBuilder(library: self, hasPictures: pictures, cancellation: cancellation).data(of: run)
    }

    /// Returns what the report about an indexed recording shows.
    ///
    /// - Parameter pipeline: only the answers of this pipeline, by its identity; nil: all that were given.
    /// - Throws: as the report of a run.
    package func report(
        about recording: RecordingSummary, pipeline: String? = nil, pictures: Bool = true,
        cancellation: Cancellation = Cancellation()
    ) throws -> ReportData {
        try ReportBuilder(library: self, hasPictures: pictures, cancellation: cancellation)
            .data(about: recording, pipeline: pipeline)
    }
}
