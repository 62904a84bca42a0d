/// Finds the next file of a list that fits, looking at each file at most once.
struct PipelineLookahead {
    private var files: ArraySlice<InputPath>
    /// How many files at the start of the list have had their turn.
    private var passed = 0

    init(_ files: [InputPath] = []) { self.files = files[...] }

    /// The turn of the next file has come.
    mutating func pass() { passed += 1 }

    /// The first file whose turn has not come and that fits; it and those before it are not looked at again.
    mutating func next(where fits: (InputPath) -> Bool) -> InputPath? {
        files = files.dropFirst(max(0, passed - files.startIndex))
        while let file = files.popFirst() {
            if fits(file) { return file }
        }
        return nil
    }
}
