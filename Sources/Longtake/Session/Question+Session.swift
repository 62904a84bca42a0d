internal import Models

extension Question {
    /// A question about the range [from, to), in seconds on the file's timeline, with greedy decoding.
    ///
    /// Without `from` or `to` the range is the whole recording. The other properties keep their defaults.
    public init(text: String, from: Double? = nil, to: Double? = nil, maxTokens: Int = 512) {
        self.init(text, from: from, to: to, sampling: .greedy, maxTokens: maxTokens)
    }
}
