internal import Checkpoints
internal import Foundation
internal import Hub

/// Finds the folder of a model that is given by its path or by its name on a hub.
package enum ModelFolder {
    /// The folder of a model.
    ///
    /// - Parameter model: a folder, or the name of a downloaded model: `org/name`, `org/name@revision`.
    /// - Returns: the folder in the hub cache that the name stands for; `model` itself if it is a folder, or neither,
    ///   in which case loading it reports the error.
    package static func path(of model: String) -> String {
        let organization = model.split(separator: "/", omittingEmptySubsequences: false).first.map(String.init) ?? ""
        guard model.contains("/"), !FolderPath.isFolder(model), !FolderPath.isFolder(organization),
            let name = try? HubName(model),
            let settings = try? HubSettings(environment: ProcessInfo.processInfo.environment)
        else { return model }
        return CachedModel.folder(of: name, settings: settings).path ?? model
    }

    /// The name of a model's folder, for display; of a snapshot in a hub cache the model's.
    static func name(of path: String) -> String {
        let parts = URL(fileURLWithPath: path).standardizedFileURL.pathComponents
        let last = parts.last ?? path
        guard parts.count >= 3, parts[parts.count - 2] == "snapshots",
            let model = parts[parts.count - 3].components(separatedBy: "--").last,
            parts[parts.count - 3].hasPrefix("models--")
        else { return last }
        return model
    }
}
