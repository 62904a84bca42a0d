internal import Foundation
internal import Hub

/// A model in the hub cache.
package struct DownloadedModel: Encodable, Sendable {
    /// A commit of which files are there.
    package struct Revision: Encodable, Sendable {
        /// The commit's hash.
        package let commit: String
        /// The branches and tags that name it here.
        package let refs: [String]
        /// The folder.
        package let path: String
        /// Bytes of its files.
        package let bytes: Int64
        /// The files that loading needs and that are not there.
        package let missing: [String]
    }

    /// The state of a model.
    package enum State: String, Encodable, Sendable {
        /// A revision has all files that loading needs.
        case complete
        /// Files are missing, or a download was interrupted.
        case partial
    }

    /// "org/name".
    package let name: String
    /// Whether it can be loaded.
    package let state: State
    /// The folder in the cache.
    package let path: String
    /// Bytes of all files, without interrupted downloads.
    package let bytes: Int64
    /// Bytes of interrupted downloads.
    package let incompleteBytes: Int64
    /// The commits.
    package let revisions: [Revision]

    private enum CodingKeys: String, CodingKey {
        case name, state, path, bytes, revisions
        case incompleteBytes = "incomplete_bytes"
    }

    fileprivate init(_ model: CachedModel) {
        name = model.name
        path = model.path
        bytes = model.bytes
        incompleteBytes = model.incompleteBytes
        revisions = model.revisions.map {
            Revision(commit: $0.commit, refs: $0.refs, path: $0.path, bytes: $0.bytes, missing: $0.missing)
        }
        state = model.incompleteBytes == 0 && model.revisions.contains { $0.missing.isEmpty } ? .complete : .partial
    }
}

/// Lists, checks and removes the models in the hub cache.
package struct DownloadedModels {
    /// The files of a model that do not have the bytes they should.
    package struct Verification: Encodable, Sendable {
        /// "org/name".
        package let name: String
        /// Number of files read.
        package let files: Int
        /// Bytes read.
        package let bytes: Int64
        /// Paths in the model's folder.
        package let damaged: [String]
    }

    private let settings: HubSettings
    /// The cache folder.
    package var path: String { settings.cache }

    /// - Throws: `HubError` `bad_hub_setting`.
    package init() throws { settings = try HubSettings(environment: ProcessInfo.processInfo.environment) }

    /// All models, by name.
    package func all() -> [DownloadedModel] { CachedModel.all(settings).map(DownloadedModel.init) }

    /// The models of these names; all if there are none.
    ///
    /// - Throws: `HubError` `not_downloaded` that names the cache.
    package func named(_ names: [String]) throws -> [DownloadedModel] {
        try found(names).map(DownloadedModel.init)
    }

    /// Removes a model with all its revisions.
    ///
    /// - Throws: `HubError` `locked` if a process downloads it now.
    package func remove(_ name: String) throws {
        for model in try found([name]) { try model.remove(settings) }
    }

    /// Reads all files of some models, of all if no name is given, and compares their hashes.
    ///
    /// - Parameters:
    ///   - check: called often; throws to stop.
    ///   - progress: gets the model's name and the number of bytes read of it.
    package func verify(
        _ names: [String], check: () throws -> Void, progress: (String, Int64) -> Void
    ) throws -> [Verification] {
        try found(names).map { model in
            let report = try BlobCheck.run(model, check: check) { progress(model.name, $0) }
            return Verification(
                name: report.name, files: report.files, bytes: report.bytes, damaged: report.damaged)
        }
    }

    private func found(_ names: [String]) throws -> [CachedModel] {
        guard !names.isEmpty else { return CachedModel.all(settings) }
        return try names.map { text in
            let name = try HubName(text)
            guard name.revision == "main" else {
                throw HubError(
                    .badName, "\"\(text)\": give the name of the model, \(name.repository), without a revision")
            }
            guard let model = CachedModel.named(name, settings) else {
                throw HubError(.notDownloaded, "\(name): not in \(settings.cache)")
            }
            return model
        }
    }
}
