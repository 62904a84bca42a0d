package import Tensors
internal import Foundation
internal import Store

/// How a model is loaded and computed.
public struct ModelSettings: Sendable {
    /// The compute precision; nil chooses int8 for quantized folders, f32 for small models (below 2 GiB in f32), else
    /// bf16 if weights are stored in 16 bits.
    package var precision: Precision?
    /// The matrix product library; nil chooses oneDNN if the build has it.
    package var backend: Backend?
    /// Number of compute threads.
    public var threads: Int
    /// Name of a kernel table; nil chooses the best one this CPU supports.
    package var instructionSet: String?
    /// Element type of cached keys and values, bf16 or i8; nil: the compute precision.
    package var keyValues: DType?
    /// Bytes that may be used in addition to the weights; nil means what the machine has free.
    public var memory: Int64?

    /// Creates settings; without `threads`, one thread per CPU is used.
    package init(
        precision: Precision? = nil, backend: Backend? = nil, threads: Int? = nil, instructionSet: String? = nil
    ) {
        self.precision = precision
        self.backend = backend
        self.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
        self.instructionSet = instructionSet
    }

    /// The accepted values of `precision`.
    package static let precisions = ["auto"] + Precision.allCases.map(\.rawValue)
    /// The accepted values of `backend`.
    package static let backends = ["auto"] + Backend.allCases.map(\.rawValue)

    /// The accepted values of `set(keyValues:)`.
    package static let keyValueTypes = ["auto", "bf16", "int8"]

    /// Sets the type of cached keys and values: "bf16", "int8", or "auto" for the compute precision.
    ///
    /// - Throws: `LongtakeError` `bad_request` naming the known values.
    public mutating func set(keyValues name: String) throws {
        guard Self.keyValueTypes.contains(name) else {
            throw LongtakeError(
                code: .badRequest,
                message: "unknown type of keys and values \(name); known: "
                    + Self.keyValueTypes.joined(separator: ", "))
        }
        keyValues = name == "int8" ? .i8 : name == "bf16" ? .bf16 : nil
    }

    /// Parses settings from the text of a command line or a file; "auto" means nil.
    ///
    /// - Throws: `LongtakeError` `bad_request` naming the known values.
    public init(precision: String?, backend: String?, threads: Int?, instructionSet: String? = nil) throws {
        func parse<Value: RawRepresentable>(_ text: String?, _ what: String, _ known: [Value]) throws -> Value?
        where Value.RawValue == String {
            guard let text, text != "auto" else { return nil }
            guard let value = known.first(where: { $0.rawValue == text }) else {
                throw LongtakeError(
                    code: .badRequest,
                    message: "unknown \(what) \(text); known: auto, "
                        + known.map(\.rawValue).joined(separator: ", "))
            }
            return value
        }
        self.init(
            precision: try parse(precision, "precision", Precision.allCases),
            backend: try parse(backend, "backend", Backend.allCases), threads: threads, instructionSet: instructionSet)
    }

    /// Sets the memory that may be used in addition to the weights, for example "6G" or "500MB".
    ///
    /// - Throws: `LongtakeError` `bad_request` for text that is not a size in bytes.
    public mutating func set(memory text: String) throws {
        let size = try Library.size(text)
        guard case .bytes(let bytes) = size, bytes > 0 else {
            throw LongtakeError(code: .badRequest, message: "invalid memory size \"\(text)\"; use bytes, 6G or 500MB")
        }
        memory = bytes
    }

    /// Sets the precision if none was chosen.
    package mutating func setDefault(precision name: String) throws {
        if precision == nil { precision = try ModelSettings(precision: name, backend: nil, threads: threads).precision }
    }

    static let threadLimits = 1...1024

    /// Checks the settings.
    ///
    /// - Throws: `LongtakeError` `bad_request` for an invalid number of threads.
    func validate() throws {
        guard Self.threadLimits.contains(threads) else {
            throw LongtakeError(
                code: .badRequest,
                message: "\(threads) threads; use \(Self.threadLimits.lowerBound) to \(Self.threadLimits.upperBound)")
        }
    }
}
