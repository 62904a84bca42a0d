/// An attention head of the language model.
public struct AttentionHead: Sendable, Equatable, Hashable {
    /// The layer, counted from 0.
    public let layer: Int
    /// The head in that layer, counted from 0.
    public let head: Int

    /// The head of a layer.
    public init(layer: Int, head: Int) {
        self.layer = layer
        self.head = head
    }
}
