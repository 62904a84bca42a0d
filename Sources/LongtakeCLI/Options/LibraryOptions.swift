import ArgumentParser
import Foundation
import Longtake

/// Options for the folders of the indexes and the catalog.
struct LibraryOptions: ParsableArguments {
    @Option(
        .cacheDir, "Folder of the frame cache.", environmentNote: "else $XDG_CACHE_HOME/longtake or ~/.cache/longtake",
        completion: .directory)
    var cacheDir: String?

    @Option(
        .dataDir, "Folder of the catalog.", environmentNote: "else $XDG_DATA_HOME/longtake or ~/.local/share/longtake",
        completion: .directory)
    var dataDir: String?

    var cachePath: String {
        cacheDir
            ?? Self.folder(.cacheDir, service: "CACHE_DIRECTORY", xdg: "XDG_CACHE_HOME", fallback: "/.cache")
    }

    var dataPath: String {
        dataDir ?? Self.folder(.dataDir, service: "STATE_DIRECTORY", xdg: "XDG_DATA_HOME", fallback: "/.local/share")
    }

    /// The folder from the environment: `name`'s variable, systemd's, $XDG_…/longtake, or below the home folder.
    ///
    /// A relative value is ignored, as the XDG specification requires.
    private static func folder(_ name: OptionName, service: String, xdg: String, fallback: String) -> String {
        let environment = ProcessInfo.processInfo.environment
        if let set = name.environmentText { return set }
        if let set = environment[service], set.hasPrefix("/") { return set }
        if let base = environment[xdg], base.hasPrefix("/") { return base + "/longtake" }
        return (environment["HOME"] ?? NSHomeDirectory()) + fallback + "/longtake"
    }

    /// - Parameter cacheMax: the cache size limit; if nil, the environment's, else the cache's own.
    func open(cacheMax: String? = nil, forQuestions: Bool = false) throws -> Library {
        do {
            let library = try Library(
                cachePath: cachePath, dataPath: dataPath, cacheMax: OptionName.cacheMax.value(cacheMax),
                forQuestions: forQuestions)
            // Questions print them as notes instead.
            for note in library.notes where !forQuestions { Console.warn(note) }
            return library
        } catch {
            throw Failure(error)
        }
    }

    /// Opens the library for questions only: a catalog that cannot be opened is reported, but does not end the command.
    func open(telling output: OutputOptions) throws -> Library {
        let library = try open(forQuestions: true)
        for note in library.notes { output.note("note: \(Console.name(note))") }
        return library
    }

    /// Opens the cache for maintenance.
    ///
    /// - Parameter cacheMax: the cache size limit; if nil, the cache's own.
    func maintenance(cacheMax: String? = nil) throws -> CacheMaintenance {
        do {
            return try CacheMaintenance(
                cachePath: cachePath, dataPath: dataPath, cacheMax: OptionName.cacheMax.value(cacheMax),
                cancellation: Interruption.cancellation)
        } catch {
            throw Failure(error)
        }
    }
}
