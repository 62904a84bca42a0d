public import Tensors
internal import Foundation
internal import Store

/// How a model is loaded and computed with.
public struct ModelSettings: Sendable {
    /// nil: f32 where the weights then stay small (exactness costs nothing there), bf16 beyond, where they are stored in 16 bits.
    public var precision: DType?
    /// nil: oneDNN where the build has it.
    public var backend: Backend?
    public var threads: Int
    /// Name of a kernel table; nil: the best this CPU runs.
    public var instructionSet: String?
    /// Bytes that may be taken outside the weights; nil: what the machine has left.
    public var memory: Int64?

    public init(
        precision: DType? = nil, backend: Backend? = nil, threads: Int? = nil, instructionSet: String? = nil
    ) {
        self.precision = precision
        self.backend = backend
        self.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
        self.instructionSet = instructionSet
    }

    /// The same from words, as a command line or a file has them.
    ///
    /// - Throws: `LongtakeError` `bad_request` naming what is known.
    public init(precision: String?, backend: String?, threads: Int?, instructionSet: String? = nil) throws {
        func parse<Value: RawRepresentable & CaseIterable>(_ text: String?, _ what: String) throws -> Value?
        where Value.RawValue == String {
            guard let text, text != "auto" else { return nil }
            guard let value = Value(rawValue: text) else {
                throw LongtakeError(
                    code: .badRequest,
                    message: "unknown \(what) \(text); known: auto, "
                        + Value.allCases.map(\.rawValue).joined(separator: ", "))
            }
            return value
        }
        self.init(
            precision: try parse(precision, "precision"), backend: try parse(backend, "backend"), threads: threads,
            instructionSet: instructionSet)
    }

    /// Sets what may be taken outside the weights: "6G", "500MB".
    ///
    /// - Throws: `LongtakeError` `bad_request` for what is no size in bytes.
    public mutating func set(memory text: String) throws {
        let size = try Library.size(text)
        guard case .bytes(let bytes) = size, bytes > 0 else {
            throw LongtakeError(code: .badRequest, message: "memory is \(text); 6G and 500MB are possible")
        }
        memory = bytes
    }

    /// Sets the precision where none was chosen.
    public mutating func setDefault(precision word: String) throws {
        if precision == nil { precision = try ModelSettings(precision: word, backend: nil, threads: threads).precision }
    }

    static let possibleThreads = 1...1024

    /// - Throws: `LongtakeError` `bad_request` for a number of threads that cannot be.
    func validate() throws {
        guard Self.possibleThreads.contains(threads) else {
            throw LongtakeError(
                code: .badRequest,
                message: "\(threads) threads; possible is \(Self.possibleThreads.lowerBound) to "
                    + "\(Self.possibleThreads.upperBound)")
        }
    }

    /// Weights that take less than this in f32 are computed in f32.
    static let smallModelBytes = 2 << 30

    /// The precision for a checkpoint of so many parameters, stored in so many bits each.
    func resolvedPrecision(parameters: Int, storedInHalves: Bool) -> DType {
        if let precision { return precision }
        return storedInHalves && parameters * 4 >= Self.smallModelBytes ? .bf16 : .f32
    }
}
