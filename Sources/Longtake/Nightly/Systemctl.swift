internal import Foundation
internal import Glibc

/// Runs `systemctl` for one scope; without a running systemd every call fails, which is not an error here.
struct Systemctl {
    let scope: NightlyJob.Scope

    /// What a call printed.
    struct Result {
        let isSuccess: Bool
        let output: String
        let errors: String
    }

    /// Runs `systemctl` with these arguments and waits for its end.
    func run(_ arguments: [String]) -> Result {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let scope = scope == .user ? ["--user"] : []
        process.arguments = ["systemctl", "--no-ask-password", "--no-pager"] + scope + arguments
        let (output, errors) = (Pipe(), Pipe())
        process.environment = ProcessInfo.processInfo.environment.merging(["TZ": "UTC", "LC_ALL": "C"]) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = errors
        do {
            try process.run()
        } catch {
            return Result(isSuccess: false, output: "", errors: "systemctl cannot be run")
        }
        // Both together are a few lines, which a pipe holds.
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let problem = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return Result(isSuccess: process.terminationStatus == 0, output: text, errors: problem)
    }

    /// Runs each call until one fails; returns the first line of the reason, nil if all succeeded.
    func failure(of calls: [[String]]) -> String? {
        for call in calls {
            let result = run(call)
            guard !result.isSuccess else { continue }
            let line = result.errors.split(separator: "\n").first.map(String.init)
            return line ?? "systemctl \(call.joined(separator: " ")) failed"
        }
        return nil
    }

    /// Returns properties of a unit by name; nil if systemd does not run or does not know the unit.
    func properties(_ names: [String], of unit: String) -> [String: String]? {
        let result = run(["show", "--timestamp=unix", "--property=LoadState," + names.joined(separator: ","), unit])
        guard result.isSuccess else { return nil }
        var properties: [String: String] = [:]
        for line in result.output.split(separator: "\n") {
            guard let sign = line.firstIndex(of: "=") else { continue }
            properties[String(line[..<sign])] = String(line[line.index(after: sign)...])
        }
        return properties["LoadState"] == "loaded" ? properties : nil
    }

    /// Parses a time as systemctl prints it: "@1764554400", or in UTC "Mon 2025-12-01 02:00:00 UTC", as systemd 252 prints
    /// those of timers in any case; nil for an event that has not happened.
    static func date(_ text: String?) -> Date? {
        guard let text else { return nil }
        if text.hasPrefix("@") {
            guard let seconds = DecimalNumber(String(text.dropFirst()))?.value, seconds > 0 else { return nil }
            return Date(timeIntervalSince1970: seconds)
        }
        let words = text.split(separator: " ")
        guard words.count == 4, words[3] == "UTC" else { return nil }
        return try? Date("\(words[1])T\(words[2])Z", strategy: .iso8601)
    }
}
