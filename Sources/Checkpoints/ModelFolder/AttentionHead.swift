/// An attention head of the language model; layer and head count from 0.
public struct AttentionHead: Sendable, Equatable, Hashable {
    public let layer: Int
    public let head: Int

    public init(layer: Int, head: Int) {
        self.layer = layer
        self.head = head
    }
}
