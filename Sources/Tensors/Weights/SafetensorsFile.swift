import Foundation
public final class SafetensorsFile {
    public let tensors: [String: StoredTensor]
    let data: NSData
    public init(path: String) throws {
        let d = try NSData(contentsOfFile: path, options: .alwaysMapped)
        data = d
        let n = Int(d.bytes.loadUnaligned(as: UInt64.self))
        let h = try JSONSerialization.jsonObject(with: d.subdata(with: NSRange(location: 8, length: n))) as? [String: Any] ?? [:]
        var t: [String: StoredTensor] = [:]
        for (k, v) in h where k != "__metadata__" {
            guard let v = v as? [String: Any], let dt = v["dtype"] as? String, let sh = v["shape"] as? [Int], let o = v["data_offsets"] as? [Int], let ty = ElementType(rawValue: dt) else { continue }
            t[k] = StoredTensor(name: k, type: ty, shape: sh, bytes: UnsafeRawBufferPointer(start: d.bytes + 8 + n + o[0], count: o[1] - o[0]), owner: d)
        }
        tensors = t
    }
}
