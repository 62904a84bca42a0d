internal import Glibc
internal import Media

/// Memory use of this process and its children.
package enum ProcessMemory {
    /// Largest resident set so far, in bytes (VmHWM of /proc/self/status); 0 if unavailable.
    package static var peakBytes: Int { field("VmHWM:") }
    /// Largest resident set of any child or decode worker that has exited, in bytes; 0 if unavailable.
    package static var peakOfChildren: Int {
        var usage = rusage()
        let ofChildren = getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage) == 0 ? usage.ru_maxrss * 1024 : 0
        return max(ofChildren, DecodeWorker.usage.peakBytes)
    }

    private static func field(_ name: String) -> Int {
        guard let file = fopen("/proc/self/status", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.hasPrefix(name) {
                return (Int(text.dropFirst(name.count).filter(\.isNumber)) ?? 0) * 1024
            }
        }
        return 0
    }
}
