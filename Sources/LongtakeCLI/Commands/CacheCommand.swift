import ArgumentParser

/// The commands that maintain the cache folder.
struct CacheCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache", abstract: "Maintain the frame cache: size, damage, what can be removed; move indexes.",
        discussion: Help.text(
            """
            EXAMPLES
              longtake cache stats
              longtake cache verify --read-data --subset 2/7     one seventh of the data, for each day of the week
              longtake cache prune --max 200G --yes
              longtake cache repair
              longtake cache export vid_0f3a9c2e --to /mnt/usb && longtake cache import /mnt/usb     on another machine
            """),
        subcommands: [
            CacheStatsCommand.self, CacheVerifyCommand.self, CachePruneCommand.self, CacheRepairCommand.self,
            CacheExportCommand.self, CacheImportCommand.self,
        ])
}
