internal import Foundation

/// The folders of a library: the cache with the indexes, and the catalog of recordings and answers.
///
/// A value: each call opens the folders, so that it can be used from any thread and beside a session that indexes.
public struct RecordingLibrary: Sendable {
    /// Path of the cache.
    public let cachePath: String
    /// Path of the folder with the catalog.
    public let dataPath: String

    /// A library in one folder, with the subfolders `cache` and `data`; they are created when needed.
    public init(folder: String) {
        self.init(cachePath: folder + "/cache", dataPath: folder + "/data")
    }

    /// A library with its cache and its catalog in two folders, as `longtake --cache-dir --data-dir` has them.
    public init(cachePath: String, dataPath: String) {
        self.cachePath = cachePath
        self.dataPath = dataPath
    }

    /// The indexes, including unfinished ones, once per path where their file is; sorted by name.
    ///
    /// - Throws: `Failure` if the folders cannot be opened.
    public func recordings() throws -> [RecordingSummary] {
        do { return try open().recordings() } catch { throw Failure(error) }
    }

    /// The indexes of a recording: by its ID, the start of an ID, a path, or the end of a path.
    ///
    /// - Throws: `Failure` `unknown_recording`; `bad_request` if the name fits several recordings.
    public func recordings(matching name: String) throws -> [RecordingSummary] {
        do { return try open().recordings(matching: name) } catch { throw Failure(error, subject: name) }
    }

    func open() throws -> Library { try Library(cachePath: cachePath, dataPath: dataPath) }
}
