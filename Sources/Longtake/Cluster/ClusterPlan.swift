internal import Foundation
internal import Store

/// A pipeline run that several machines share, frozen before it starts.
///
/// Whatever a machine does follows from this plan: its pipeline, its model, its units and their order. A unit is
/// idempotent: done twice it changes nothing. Units are in `units.jsonl` beside the plan, one line each, those of a shard
/// together, so that a worker reads only its own.
package struct ClusterPlan: Sendable, Codable {
    /// Version of the files in the run's folder.
    static let format = 1

    /// The pipeline as it was when the plan was made.
    package struct Pipeline: Sendable, Codable, Equatable {
        /// Path of the YAML file; relative paths in it are resolved against its folder.
        package let path: String
        /// Its text.
        package let text: String
        /// The environment variables that the text refers to.
        package let environment: [String: String]
    }

    /// The model that computes.
    package struct Model: Sendable, Codable, Equatable {
        /// Its folder, as given.
        package let path: String
        /// Its name, for display.
        package let name: String
        /// Identity of its weights and of everything that changes the computed values.
        package let hash: String
    }

    /// Units that one process does, one after the other.
    package struct Shard: Sendable, Codable, Equatable {
        /// What its units do.
        package let kind: ClusterUnit.Kind
        /// Number of units.
        package let units: Int
        /// Planned cost of all of them, in frames.
        package let cost: Double
        /// Where their lines start in `units.jsonl`, in bytes.
        let offset: Int
        /// Length of their lines in bytes.
        let bytes: Int
        /// SHA-256 of their lines, in hex.
        let checksum: String
    }

    let format: Int
    /// "cluster_" and 16 hexadecimal digits of the hash of everything that changes results.
    package let id: String
    /// The program version that made the plan; no other works on it.
    package let program: String
    /// When the plan was made, RFC 3339.
    package let created: String
    /// The pipeline.
    package let pipeline: Pipeline
    /// The model.
    package let model: Model
    /// Hash of all settings of indexing, also those from the environment.
    let settings: String
    /// Number of recordings.
    package let recordings: Int
    /// Seconds of one machine per frame, from earlier runs; nil if nothing is known.
    package let secondsPerFrame: Double?
    /// The shards: those that index, then those that ask.
    package let shards: [Shard]

    private enum CodingKeys: String, CodingKey {
        case format, id, program, created, pipeline, model, settings, recordings, shards
        case secondsPerFrame = "seconds_per_frame"
    }

    /// Numbers of the shards that do this kind of unit.
    package func shards(of kind: ClusterUnit.Kind) -> Range<Int> {
        let first = shards.firstIndex { $0.kind == kind } ?? shards.count
        return first..<(first + shards[first...].prefix { $0.kind == kind }.count)
    }
}

/// The smallest piece of work that is published: an index, some segments of one, or the answers about a recording.
package struct ClusterUnit: Sendable, Codable, Equatable {
    /// What is done.
    package enum Kind: String, Sendable, Codable {
        /// Frames are decoded, encoded and compressed.
        case index
        /// The pipeline's questions are asked, after the recording's index exists.
        case ask
    }

    /// Hash of everything that its result depends on: 32 hexadecimal digits, the name of what it publishes.
    package let key: String
    /// What is done.
    package let kind: Kind
    /// Position of its recording in the order of one machine's run, from 0.
    let number: Int
    /// The recording's path, as text.
    package let path: String
    /// The path's bytes in base64 if they are not UTF-8.
    let pathBase64: String?
    /// Size of the recording's file in bytes, when the plan was made.
    let size: Int64
    /// Its modification time in nanoseconds since 1970.
    let modified: Int64
    /// First frame, a multiple of a segment's length; 0 for a whole recording.
    package let first: Int
    /// Frame after the last one; nil: to the end of the recording.
    package let end: Int?
    /// Planned cost in frames.
    package let cost: Double
    /// Keys of the units that index the recording, in order; of a unit that asks.
    package let parts: [String]?

    private enum CodingKeys: String, CodingKey {
        case key, kind, number, path, size, modified, first, end, cost, parts
        case pathBase64 = "path_base64"
    }

    /// The recording's file.
    package var input: InputPath { InputPath(bytes: PathText.bytes(path, base64: pathBase64)) }

    /// True if the unit indexes the recording from its first frame to its last.
    package var isWhole: Bool { kind == .index && first == 0 && end == nil }

    /// Text that names the unit in messages.
    package var name: String {
        guard kind == .index, !isWhole else { return "\(path) (\(kind.rawValue))" }
        return "\(path) (frames \(first) to \(end.map { String($0 - 1) } ?? "the end"))"
    }
}
