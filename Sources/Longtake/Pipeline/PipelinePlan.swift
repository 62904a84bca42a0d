internal import Foundation
internal import Glibc
internal import Store

/// What a run of a pipeline would do.
package struct PipelinePlan: Sendable, Encodable {
    /// What would be done with one file.
    package enum Action: String, Sendable, Encodable {
        /// Indexed, then asked about.
        case index
        /// Asked about: it is indexed already.
        case ask
        /// Nothing: it is indexed and all questions are answered.
        case nothing
        /// Left out, for a reason.
        case skip
    }

    /// One file.
    package struct File: Sendable, Encodable {
        /// The file's path.
        package let path: String
        /// What would be done.
        package let action: Action
        /// Why it is left out; nil unless it is.
        package var reason: String?
        /// Upper bounds of what indexing takes; nil if the length is unknown.
        package var frames: Int?
        package var bytes: Int64?
        package var seconds: Double?
        /// Questions that would be asked; one that is asked window by window counts once.
        package var questions = 0
    }

    /// The files in the order in which a run would take them.
    package internal(set) var files: [File] = []
    /// Number of alerts that earlier runs could not send and this one would.
    package internal(set) var alerts = 0
    /// Free bytes of the cache's file system.
    package internal(set) var freeBytes: Int64?

    private enum CodingKeys: String, CodingKey {
        case files, alerts
        case freeBytes = "free_bytes"
    }
}

extension PipelineRunner {
    /// Finds out what a run would do, without decoding.
    ///
    /// - Throws: `StoreError`; an error of one recording is its reason to be left out.
    package func plan(_ walker: InputWalker) throws -> PipelinePlan {
        try select()
        try checkSearches()
        let known = try known(walker.files)
        let files = try sorted(walker.files, known)
        let answered = try library.catalog.answerKeys(pipeline: file.identity)
        let pauses = try PipelineHistory.Pauses(file, library.catalog)
        let now = Int64(Glibc.time(nil))
        var plan = PipelinePlan()
        plan.alerts = try library.catalog.alerts(pipeline: file.identity, states: ["pending"]).count
        plan.files = walker.unreadable.map {
            PipelinePlan.File(path: $0.path.description, action: .skip, reason: "cannot read: \($0.reason)")
        }
        for path in files {
            try cancellation.check()
            let name = path.description
            if let known = known[path] {
                let open = file.questions.count { !answered.contains($0.key(known)) }
                plan.files.append(.init(path: name, action: open > 0 ? .ask : .nothing, questions: open))
            } else if !settings.retriesFailed, let pause = pauses.pause(of: path, now: now) {
                plan.files.append(.init(path: name, action: .skip, reason: pause.message))
            } else {
                plan.files.append(self.plan(path, &plan.freeBytes))
            }
        }
        return plan
    }

    private func plan(_ path: InputPath, _ freeBytes: inout Int64?) -> PipelinePlan.File {
        let recording = Recording(path)
        defer { recording.close() }
        do {
            let plan = try analyzer.get().plan(recording, options: options, sizes: false, strict: true)
            freeBytes = plan.freeBytes
            if let input = file.input(of: path), let fault = input.lengthFault(plan.duration, path) {
                return .init(path: path.description, action: .skip, reason: fault.message)
            }
            // The same content is indexed under another path.
            if plan.indexed {
                return .init(path: path.description, action: .ask, questions: file.questions.count)
            }
            return .init(
                path: path.description, action: .index, frames: plan.frames,
                bytes: plan.bytes.map { $0 + (plan.prefixCacheBytes ?? 0) }, seconds: plan.estimatedSeconds,
                questions: file.questions.count)
        } catch {
            return .init(
                path: path.description, action: .skip, reason: Failure(error, subject: path.description).message)
        }
    }
}
