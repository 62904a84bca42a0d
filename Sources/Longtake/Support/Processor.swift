internal import Foundation

/// The processor, as /proc/cpuinfo describes it.
package struct Processor: Sendable, Codable, Equatable {
    /// The model name.
    package private(set) var name = ""
    /// The SIMD and matrix flags.
    package private(set) var features: [String] = []

    private static let wanted: Set = [
        "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni",
        "avx512_bf16", "amx_bf16", "amx_int8",
    ]

    /// Parses the text of /proc/cpuinfo.
    package init(cpuinfo text: String) {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count == 2 else { continue }
            if parts[0] == "model name", name.isEmpty { name = parts[1] }
            if parts[0] == "flags", features.isEmpty {
                features = parts[1].split(separator: " ").map(String.init).filter { Self.wanted.contains($0) }
            }
        }
    }

    /// The processor of this machine.
    package init() {
        self.init(cpuinfo: (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "")
    }

    /// The class by which measurements are compared, such as "AVX-512 with VNNI and BF16".
    package var cpuClass: String {
        func has(_ feature: String) -> Bool { features.contains(feature) }
        let (base, vnni) =
            has("avx512f")
            ? ("AVX-512", has("avx512_vnni")) : has("avx2") ? ("AVX2", has("avx_vnni")) : ("without AVX2", false)
        let extras = (vnni ? ["VNNI"] : []) + (has("avx512_bf16") ? ["BF16"] : []) + (has("amx_int8") ? ["AMX"] : [])
        return extras.isEmpty ? base : base + " with " + extras.joined(separator: " and ")
    }
}
