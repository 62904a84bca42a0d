/// A value computed on first use.
public final class Deferred<Value> {
    private let make: () throws -> Value
    private var made: Value?

    /// Creates a value that `make` will compute.
    public init(_ make: @escaping () throws -> Value) { self.make = make }

    /// Returns the value, computing it on the first call; after an error the next call tries again.
    public func get() throws -> Value {
        if let made { return made }
        let value = try make()
        made = value
        return value
    }
}
