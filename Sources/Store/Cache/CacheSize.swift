import Foundation

/// How large a cache may be: bytes, or a part of its file system.
public enum CacheSize: Sendable, Equatable {
    case bytes(Int64)
    /// Of all bytes of the file system, used or not.
    case percent(Double)

    /// "200G", "1.5TiB", "500MB", "80%", "1000000". K, M, G, T and KiB … count in 1024s, KB … in 1000s.
    ///
    /// Nil for what is none, for a percentage beyond 100, and for more bytes than there can be.
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

    /// Throws `StoreError` `.io` when the file system cannot be measured.
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

    /// The bytes this cache may have: `wanted`, else what `limits.json` remembers, else 80 % of what is free now and what
    /// is in the cache already, remembered from then on unless `remember` is false or less than a twentieth of the disk is free:
    /// one that happened to be full would be remembered for good.
    ///
    /// - Parameter used: says what the cache holds, where somebody knows; else it is added up.
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
