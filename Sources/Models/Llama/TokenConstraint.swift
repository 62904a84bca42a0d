/// Decides which tokens may come next in a text that is being generated.
public protocol TokenConstraint: AnyObject {
    /// The tokens that may come next, one bit for each ID; at least one.
    ///
    /// - Parameter tokensLeft: most tokens until the end of the text, this one included.
    func allowed(tokensLeft: Int) -> [UInt64]

    /// True if the text is complete: nothing may follow, so that the model need not be asked for its end.
    var isComplete: Bool { get }
}
