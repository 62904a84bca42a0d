import Foundation

/// The size limit of a cache: bytes or a percentage of its file system.
public enum CacheSize: Sendable, Equatable {
    /// A number of bytes.
    case bytes(Int64)
    /// A percentage of the file system's total size, used or not.
    case percent(Double)

    /// Parses text such as "200G", "1.5TiB", "500MB", "80%" or "1000000"; nil if invalid.
    ///
    /// K, M, G, T and KiB … use base 1024, KB … base 1000. A percentage above 100 or a size that does not fit is
    /// invalid.
    public init?(_ text: String) {
        let word = text.trimmingCharacters(in: .whitespaces).uppercased()
        let digits = word.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = word.dropFirst(digits.count).trimmingCharacters(in: .whitespaces)
        guard let number = Double(digits), number.isFinite, number >= 0 else { return nil }
        if unit == "%" {
            guard number <= 100 else { return nil }
            self = .percent(number)
            return
        }
        let powers = ["": 0, "B": 0, "K": 1, "M": 2, "G": 3, "T": 4]
        var (name, base) = (unit, 1024.0)
        if unit.hasSuffix("IB"), unit.count == 3 {
            name = String(unit.dropLast(2))
        } else if unit.hasSuffix("B"), unit.count == 2 {
            (name, base) = (String(unit.dropLast()), 1000)
        }
        guard let power = powers[name], unit != "IB" else { return nil }
        let bytes = (number * pow(base, Double(power))).rounded()
        guard bytes < 9e18 else { return nil }
        self = .bytes(Int64(saturating: bytes))
    }

    /// Returns the limit in bytes; throws `StoreError` `.io` if the size of the file system cannot be read.
    func bytes(at path: String) throws -> Int64 {
        switch self {
        case .bytes(let bytes): bytes
        case .percent(let percent): Int64(saturating: Double(try Posix.totalBytes(at: path)) * percent / 100)
        }
    }
}

extension CacheDirectory {
    static let limitsName = "limits.json"

    private struct Limits: Codable {
        var maxBytes: Int64
        private enum CodingKeys: String, CodingKey { case maxBytes = "max_bytes" }
    }

    /// Returns the size limit of this cache in bytes: `wanted`, else the limit stored in `limits.json`, else a default.
    ///
    /// The default is the cache's current size plus 80 % of the free space. It is stored in `limits.json` unless
    /// `remember` is false or less than a twentieth of the disk is free: the limit for a disk that happens to be full
    /// would otherwise be permanent.
    ///
    /// - Parameter used: returns the cache's current size in bytes, if known; otherwise it is computed.
    public func limit(
        _ wanted: CacheSize? = nil, remember: Bool = true, used: (() throws -> Int64)? = nil
    ) throws -> Int64 {
        if let wanted { return try wanted.bytes(at: path) }
        let file = path + "/" + Self.limitsName
        if let bytes = Posix.contents(file, limit: 1 << 16),
            let limits = try? JSONDecoder().decode(Limits.self, from: Data(bytes)), limits.maxBytes >= 0
        {
            return limits.maxBytes
        }
        let free = try freeBytes()
        let bytes = try (used?() ?? usedBytes()) + free / 5 * 4
        if remember, free >= (try Posix.totalBytes(at: path)) / 20 {
            try Posix.replace(file, with: canonicalJSON(Limits(maxBytes: bytes)) + [10])
        }
        return bytes
    }
}
