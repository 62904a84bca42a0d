internal import Foundation
internal import Hub

/// Downloads a model from a hub into the cache that other tools share.
///
/// The environment says where from and where to, as for `huggingface_hub`: HF_ENDPOINT, HF_TOKEN, HF_HOME,
/// HF_HUB_CACHE, HF_HUB_OFFLINE, HF_HUB_DISABLE_SYMLINKS.
package struct ModelDownload {
    /// A downloaded model.
    package struct Model: Encodable, Sendable {
        /// The name, with the revision unless that is "main".
        package let name: String
        /// The commit whose files these are.
        package let commit: String
        /// The folder.
        package let path: String
        /// Number of files.
        package let files: Int
        /// Bytes of all files.
        package let bytes: Int64
    }

    /// What was downloaded.
    package struct Report: Encodable, Sendable {
        /// The model.
        package let model: Model
        /// Its vision tower, if that is another model.
        package let visionTower: Model?
        /// The base model of a LoRA adapter.
        package let baseModel: Model?
        /// Bytes received now; the others were in the cache.
        package let bytesReceived: Int64

        private enum CodingKeys: String, CodingKey {
            case model
            case visionTower = "vision_tower"
            case baseModel = "base_model"
            case bytesReceived = "bytes_received"
        }
    }

    /// How far a download is.
    package struct Progress: Sendable {
        /// The file being downloaded.
        package let file: String
        /// Bytes in the cache.
        package let done: Int64
        /// Bytes of all files.
        package let total: Int64
        /// Bytes received now.
        package let received: Int64
    }

    /// Files that are in the cache already are hashed too, and damaged ones downloaded again.
    package var verifies = false
    private let name: HubName

    /// - Parameter name: `org/name` or `org/name@revision`.
    /// - Throws: `HubError` `bad_model_name`.
    package init(_ name: String) throws { self.name = try HubName(name) }

    /// Downloads what is missing.
    ///
    /// - Parameters:
    ///   - check: called often; throws to stop. What is downloaded so far stays, and the next run continues.
    ///   - note: gets remarks for people.
    /// - Throws: `HubError`, or what `check` threw.
    package func run(
        check: @escaping () throws -> Void, note: @escaping (String) -> Void,
        progress: @escaping (Progress) -> Void
    ) throws -> Report {
        let settings = try HubSettings(environment: ProcessInfo.processInfo.environment)
        let pull = ModelPull(settings, verifies: verifies, check: check, note: note) {
            progress(Progress(file: $0.file, done: $0.done, total: $0.total, received: $0.received))
        }
        let report = try pull.run(name)
        return Report(
            model: Model(report.model), visionTower: report.tower.map(Model.init),
            baseModel: report.base.map(Model.init), bytesReceived: report.received)
    }
}

extension ModelDownload.Model {
    fileprivate init(_ part: ModelPull.Part) {
        self.init(name: part.name, commit: part.commit, path: part.path, files: part.files, bytes: part.bytes)
    }
}
