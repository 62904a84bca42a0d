import ArgumentParser
import Longtake

/// The time zone of times of day that are written without one.
struct ZoneOptions: ParsableArguments {
    @Option(
        .timezone,
        """
        Time zone of times without an offset, such as Europe/Berlin, UTC or +02:00; by default the system's.
        """, valueName: "zone")
    var timezone: String?

    func zone() throws -> ClockZone? {
        guard let text = try OptionName.timezone.value(timezone) else { return nil }
        do {
            return try ClockZone(text)
        } catch let error as LongtakeError {
            throw UsageError("\(OptionName.timezone.source(typed: timezone != nil)): \(error.message)")
        }
    }
}

/// Options for when and where recordings that are indexed were made.
struct ClockOptions: ParsableArguments {
    @Option(
        .clock,
        """
        Pattern for the end of each file's path that states its camera and when it started, such as \
        {camera}/%Y-%m-%d/%H-%M-%S; also %j, %s, %z, *. By default the container's creation time.
        """, valueName: "pattern")
    var clock: String?

    func pattern() throws -> ClockPattern? {
        guard let text = try OptionName.clock.value(clock) else { return nil }
        do {
            return try ClockPattern(text)
        } catch let error as LongtakeError {
            throw UsageError("\(OptionName.clock.source(typed: clock != nil)): \(error.message)")
        }
    }

    /// - Parameter file: a pipeline's settings, which come after the options and before the environment.
    func settings(_ zone: ZoneOptions, in file: ClockSettings? = nil) throws -> ClockSettings {
        var settings = file ?? ClockSettings()
        if clock != nil || settings.pattern == nil { settings.pattern = try pattern() }
        if zone.timezone != nil || settings.zone == nil { settings.zone = try zone.zone() }
        return settings
    }
}

/// Options that select recordings by camera and by time of day.
struct SelectionOptions: ParsableArguments {
    @Option(
        name: [.long, .customLong("recorded-since")],
        help: "Only what was recorded since: 2h, 7d, 2026-11-29, 2026-11-29T04:00:00, also with an offset.")
    var since: String?

    @Option(
        name: [.long, .customLong("recorded-until")],
        help: "Only what was recorded before this time; a date includes its day.")
    var until: String?

    @Option(help: ArgumentHelp("Only recordings of this camera; may be repeated.", valueName: "name"))
    var camera: [String] = []

    func selection(_ zone: ClockZone?) throws -> RecordingSelection {
        do {
            return try RecordingSelection(since: since, until: until, cameras: camera, zone: zone)
        } catch let error as LongtakeError {
            throw UsageError(error.message)
        }
    }
}
