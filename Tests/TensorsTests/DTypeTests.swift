import Tensors
import Testing

struct DTypeTests {
    @Test func `safetensors names are those of the format`() {
        let names = [
            "BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "F64", "I64",
            "U64",
        ]
        #expect(DType.allCases.map(\.safetensorsName) == names)
        #expect(names.compactMap(DType.init(safetensorsName:)) == DType.allCases)
    }

    @Test(arguments: ["bf16", "f32", "F4", "", "BF16 "]) func `other names are unknown`(name: String) {
        #expect(DType(safetensorsName: name) == nil)
    }

    @Test func `settings and index keys name the compute types`() {
        #expect(DType.computeTypes.map(\.rawValue) == ["f32", "bf16"])
    }
}
